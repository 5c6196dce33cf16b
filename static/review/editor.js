// Editing in place: the texts become fields and back. What is typed is kept on the server (drafts.js).

import { keepDraft } from "./drafts.js";

export function startEditor(card) {
  card.dataset.dressed = "yes";
  const form = card.querySelector("#decision");
  const fields = [...card.querySelectorAll(".text-block textarea")];
  if (!form || !form.querySelector("[data-save]")) return;
  const draft = keepDraft(form, [...fields, form.elements.note]);

  function show(editing) {
    card.querySelector("[data-diff][aria-pressed=true]")?.click();
    card.toggleAttribute("data-editing", editing);
    for (const field of fields) {
      field.hidden = field.disabled = !editing;
      field.parentElement.querySelector(".shown").hidden = editing;
    }
    if (!editing) return card.focus({ preventScroll: true });
    const solution = fields.at(-1);
    solution.focus({ preventScroll: true });
    solution.setSelectionRange(0, 0);
  }

  card.querySelector("[data-key=e]").addEventListener("click", (event) => {
    event.preventDefault();
    show(true);
  });
  card.querySelector("[data-leave]").addEventListener("click", (event) => {
    event.preventDefault();
    show(false);
  });
  card.querySelector("[data-reset]").addEventListener("click", () => {
    for (const field of fields) field.value = field.dataset.original;
    draft.saveSoon();
  });
  form.addEventListener("submit", draft.stop); // the decision takes the text; a refusal brings it back
  card.querySelector("#discard")?.addEventListener("submit", draft.stop);
  form.addEventListener("input", (event) => {
    if (card.hasAttribute("data-editing") && event.target.matches("textarea, #note")) draft.saveSoon();
  });
  form.addEventListener("focusout", (event) => {
    if (event.relatedTarget?.form?.id !== "discard") draft.save();
  });
  card.addEventListener("keydown", (event) => {
    if (!card.hasAttribute("data-editing")) return;
    if (event.key === "Escape") show(false);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(form.querySelector("[data-save]"));
    }
  });
  if (card.hasAttribute("data-editing")) show(true);
}
