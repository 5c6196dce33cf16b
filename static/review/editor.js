// Editing in place: the texts become fields and back. What is typed is kept on the server a moment after the last key.

const KEEP_AFTER_MS = 700;
const AGAIN_AFTER_MS = 5000;

export function startEditor(card) {
  card.dataset.dressed = "yes";
  const form = card.querySelector("#decision");
  const fields = [...card.querySelectorAll(".text-block textarea")];
  if (!form || !form.querySelector("[data-save]")) return;
  const keep = draftKeeper(form, fields);

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
    keep.soon();
  });
  form.addEventListener("submit", keep.stop); // the decision takes the text; a refusal brings it back
  form.addEventListener("input", (event) => {
    if (fields.includes(event.target)) keep.soon();
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

// One request at a time, and the newest text last.
function draftKeeper(form, fields) {
  const said = form.querySelector("#draft");
  const version = form.elements.version;
  let timer;
  let isKeeping = false;
  let isDirty = false;

  function soon(after = KEEP_AFTER_MS) {
    isDirty = true;
    clearTimeout(timer);
    timer = setTimeout(now, after);
  }

  function stop() {
    isDirty = false;
    clearTimeout(timer);
  }

  async function now(keepalive = false) {
    clearTimeout(timer);
    if (!isDirty || isKeeping || !form.isConnected) return;
    isDirty = false;
    isKeeping = true;
    said.textContent = "saving draft";
    const body = new URLSearchParams({ csrf_token: form.elements.csrf_token.value, version: version.value });
    body.set("note", form.elements.note.value);
    for (const field of fields) body.set(field.name, field.value);
    const headers = { Accept: "application/json" };
    const answer = await fetch(said.dataset.keep, { method: "POST", body, headers, keepalive }).catch(() => null);
    isKeeping = false;
    if (answer?.ok) {
      version.value = (await answer.json()).version;
      said.textContent = `draft saved ${new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`;
      if (isDirty) soon();
    } else if (answer && answer.status < 500) {
      said.textContent = "draft not saved: this was decided, or saved from another tab";
    } else {
      said.textContent = "draft not saved yet, trying again";
      soon(AGAIN_AFTER_MS);
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") now(true);
  });
  return { soon, stop };
}
