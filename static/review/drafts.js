// What is typed is saved on the server a moment after the last key: one request at a time, the newest text last.

const SAVE_AFTER_MS = 700;
const AGAIN_AFTER_MS = 5000;
const MOST_KEPT_ALIVE = 60_000; // bytes that browsers send for a page that is gone

const LOAD = "Load the other tab's text";
const BACK = "Back to this tab's text";
const SIGNED_OUT = "you are signed out; copy your text, then sign in again";

let stopListening = new AbortController();

function listenAnew() {
  stopListening.abort();
  stopListening = new AbortController();
  return stopListening.signal;
}

// A draw of an audit has no draft: whoever leaves the page with a text that is not sent is asked first.
export function keepNothing(card) {
  let isDirty = card.hasAttribute("data-unsent");
  window.addEventListener("beforeunload", (event) => isDirty && event.preventDefault(), { signal: listenAnew() });
  return {
    save() {},
    saveSoon() {
      isDirty = true;
    },
    stop() {
      isDirty = false;
    },
  };
}

export function keepDraft(form, fields) {
  const said = form.querySelector("#draft");
  const offer = form.querySelector("[data-other]");
  const { version, revision, csrf_token } = form.elements;
  let timer;
  let request = new AbortController();
  let isSaving = false;
  let isDirty = false;
  let other = null; // {texts, version, saved_at} of another tab, or {texts} of this one while that is shown

  const typed = () => Object.fromEntries(fields.map((field) => [field.name, field.value]));

  function saveSoon(after = SAVE_AFTER_MS) {
    isDirty = true;
    clearTimeout(timer);
    timer = setTimeout(save, after);
  }

  function stop() {
    isDirty = false;
    clearTimeout(timer);
    request.abort();
  }

  async function save() {
    if (isSaving) return;
    clearTimeout(timer);
    if (!isDirty) return;
    isSaving = true;
    said.textContent = "saving draft";
    request = new AbortController();
    const { signal } = request;
    const answer = await send(Number(version.value), signal);
    const told = await answer?.json().catch(() => null);
    isSaving = false;
    if (signal.aborted) return;
    if (answer?.ok && told) {
      version.value = told.version;
      saySaved(told.saved_at);
      if (isDirty) saveSoon();
    } else if (!answer || answer.status >= 500) {
      said.textContent = "draft not saved: the server does not answer, trying again";
      saveSoon(AGAIN_AFTER_MS);
    } else {
      said.textContent = `draft not saved: ${told?.detail ?? SIGNED_OUT}`;
      if (told?.other) offerOther(told.other);
    }
  }

  function send(seen, signal) {
    isDirty = false;
    const texts = typed();
    const body = new URLSearchParams({ ...texts, csrf_token: csrf_token.value, version: seen, revision: revision.value });
    const keepalive = body.toString().length < MOST_KEPT_ALIVE;
    const headers = { Accept: "application/json" };
    const post = { method: "POST", body, headers, keepalive, signal, redirect: "manual" };
    return fetch(said.dataset.keep, post).catch(() => null);
  }

  // Nobody will be here when a request under way is answered: this one counts on its being kept.
  function sendLast() {
    if (isDirty) send(Number(version.value) + (isSaving ? 1 : 0));
  }

  function saySaved(moment) {
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    said.textContent = `draft saved ${new Date(moment).toLocaleTimeString([], clock)}`;
  }

  function offerOther(draft) {
    other = draft;
    offer.textContent = LOAD;
    offer.hidden = false;
  }

  // Both texts stay at hand: one is shown, the other behind the button.
  offer.addEventListener("click", () => {
    const shown = typed();
    for (const field of fields) {
      field.value = other.texts[field.name];
      field.dispatchEvent(new Event("change", { bubbles: true })); // its code editor shows it
    }
    stop();
    if (other.version) {
      version.value = other.version;
      saySaved(other.saved_at);
    } else saveSoon();
    offer.textContent = offer.textContent === LOAD ? BACK : LOAD;
    other = { texts: shown };
  });

  const signal = listenAnew();
  document.addEventListener("visibilitychange", () => document.hidden && save(), { signal });
  window.addEventListener("beforeunload", () => save(), { signal }); // a reload asks for the page only after it
  window.addEventListener("pagehide", sendLast, { signal });
  if ("unsaved" in said.dataset && form.closest("[data-editing]")) saveSoon();
  return { save, saveSoon, stop };
}
