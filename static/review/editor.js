// Editing in place: the texts become fields and back, and fields become code editors as soon as those are loaded.
// What is typed is kept on the server (drafts.js).

import { distanceInWords, distanceOf } from "./distance.js";
import { keepDraft, keepNothing } from "./drafts.js";
import { modelText } from "./model_text.js";

const LAYOUTS = ["plain", "unified", "split"];
const MEASURE_AFTER_MS = 300;

let editors = []; // of the card on screen

export function startEditor(card) {
  for (const editor of editors) editor.close();
  editors = [];
  card.dataset.dressed = "yes";
  const form = card.querySelector("#decision");
  const fields = [...card.querySelectorAll(".text-block textarea")];
  if (!form || !form.querySelector("[data-save]")) return;
  const draft = form.querySelector("#draft") ? keepDraft(form, [...fields, form.elements.note]) : keepNothing(card);
  const distance = form.querySelector("#distance");
  let loaded = null;
  let timer;

  const isEditing = () => card.hasAttribute("data-editing");

  function show(editing) {
    card.querySelector("[data-diff][aria-pressed=true]")?.click();
    card.toggleAttribute("data-editing", editing);
    for (const [at, field] of fields.entries()) {
      field.disabled = !editing;
      field.hidden = !editing || loaded !== null;
      if (at in editors) editors[at].place.hidden = !editing;
      field.parentElement.querySelector(".shown").hidden = editing;
    }
    if (!editing) return card.focus({ preventScroll: true });
    measureSoon();
    if (loaded) {
      openEditors();
      return editors.at(-1).focus();
    }
    // Until the code editors are here, and where they cannot be loaded, the plain fields do.
    const solution = fields.at(-1);
    solution.focus({ preventScroll: true });
    solution.setSelectionRange(0, 0);
    load().then(openEditors);
  }

  async function load() {
    loaded ??= await loadEditors(fields);
  }

  function openEditors() {
    if (!loaded || !isEditing() || !card.isConnected || editors.length) return;
    card.toggleAttribute("data-layouts", true);
    editors = fields.map((field, at) => loaded.openEditor(field, loaded.languages[at]));
    setLayout(layout());
  }

  function setLayout(chosen) {
    localStorage.setItem("layout", chosen);
    card.dataset.layout = chosen;
    for (const button of card.querySelectorAll("button[data-layout]")) {
      button.setAttribute("aria-pressed", button.dataset.layout === chosen);
    }
    for (const editor of editors) editor.setLayout(chosen);
  }

  function measureSoon() {
    clearTimeout(timer);
    timer = setTimeout(measure, MEASURE_AFTER_MS);
  }

  function measure() {
    const pairs = fields.map((field) => [modelText(field), field.value]);
    distance.textContent = distanceInWords(distanceOf(pairs));
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
    for (const field of fields) {
      field.value = field.dataset.original;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }
    draft.saveSoon();
  });
  for (const button of card.querySelectorAll("button[data-layout]")) {
    button.addEventListener("click", () => setLayout(button.dataset.layout));
  }
  form.addEventListener("submit", draft.stop); // the decision takes the text; a refusal brings it back
  card.querySelector("#discard")?.addEventListener("submit", draft.stop);
  form.addEventListener("input", (event) => {
    if (!isEditing() || !event.target.matches("textarea, #note")) return;
    draft.saveSoon();
    measureSoon();
  });
  form.addEventListener("change", measureSoon);
  form.addEventListener("focusout", (event) => {
    if (event.relatedTarget?.form?.id !== "discard") draft.save();
  });
  card.addEventListener("keydown", (event) => {
    if (!isEditing() || event.defaultPrevented) return;
    if (event.key === "Escape") show(false);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit(form.querySelector("[data-save]"));
    }
    if (event.code === "KeyD" && event.altKey && !event.ctrlKey && !event.metaKey && editors.length) {
      event.preventDefault();
      setLayout(LAYOUTS[(LAYOUTS.indexOf(layout()) + 1) % LAYOUTS.length]);
    }
  });
  if (isEditing()) show(true);
  else whenIdle(load);
}

async function loadEditors(fields) {
  const code = await import("./code_editor.js").catch(() => null);
  return code && { ...code, languages: await Promise.all(fields.map(code.languageOf)) };
}

function layout() {
  const chosen = localStorage.getItem("layout");
  return LAYOUTS.includes(chosen) ? chosen : "plain";
}

const whenIdle = (act) => (window.requestIdleCallback ?? setTimeout)(act);
