// Editing in place: the texts become fields and back. What is typed outlives a reload of the page.

export function startEditor(card) {
  card.dataset.dressed = "yes";
  const form = card.querySelector("#decision");
  const fields = [...card.querySelectorAll(".text-block textarea")];
  if (!form || !form.querySelector("[data-save]")) return;
  const draft = `draft ${card.dataset.instance}`;

  function show(editing) {
    card.querySelector("[data-diff][aria-pressed=true]")?.click();
    card.toggleAttribute("data-editing", editing);
    for (const field of fields) {
      field.hidden = field.disabled = !editing;
      field.parentElement.querySelector(".shown").hidden = editing;
    }
    if (!editing) return card.focus({ preventScroll: true });
    const kept = JSON.parse(sessionStorage.getItem(draft) ?? "{}");
    for (const field of fields) field.value = kept[field.name] ?? field.value;
    const solution = fields.at(-1);
    solution.focus({ preventScroll: true });
    solution.setSelectionRange(0, 0);
  }

  function reset() {
    sessionStorage.removeItem(draft);
    for (const field of fields) field.value = field.dataset.original;
  }

  card.querySelector("[data-key=e]").addEventListener("click", (event) => {
    event.preventDefault();
    show(true);
  });
  card.querySelector("[data-leave]").addEventListener("click", (event) => {
    event.preventDefault();
    show(false);
  });
  card.querySelector("[data-reset]").addEventListener("click", reset);
  form.addEventListener("submit", () => sessionStorage.removeItem(draft)); // a refusal brings the text back
  form.addEventListener("input", (event) => {
    if (!fields.includes(event.target)) return;
    sessionStorage.setItem(draft, JSON.stringify(Object.fromEntries(fields.map((one) => [one.name, one.value]))));
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
