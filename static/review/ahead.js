// The next card waits behind the one on screen, so that a decision paints it at once. Nothing is claimed by that:
// the line says "storing" until the server has the decision, and one that is refused comes back with its text.

import { startTime } from "./lease_clock.js";

const AGAIN_AFTER_MS = 3000;
const MOST_KEPT_ALIVE = 60_000; // bytes of a request that may outlive its page
let ahead = null; // a card that is not in the page yet
let storing = null; // while a decision is under way

export async function fetchAhead(card) {
  ahead = null;
  const form = card().querySelector("#decision");
  const shown = card().dataset.instance;
  if (!form?.elements.lease || isOfAudit(form)) return;
  const headers = { "HX-Request": "true" };
  const body = new URLSearchParams({ shown, csrf_token: form.elements.csrf_token.value });
  const { search } = new URL(form.getAttribute("action"), location); // a button has the name "action", too
  const address = `/review/ahead${search}`;
  const answer = await fetch(address, { method: "POST", headers, body, redirect: "manual" }).catch(() => null);
  if (answer?.status !== 200) return;
  const next = cardIn(parsed(await answer.text()));
  if (!ahead && !storing && card().dataset.instance === shown) keep(next);
}

export const stored = () => storing ?? Promise.resolve();

// htmx has gathered the form by then; what is sent, and what becomes of the answer, is ours.
export function startAhead(card, show) {
  document.addEventListener("htmx:before:request", (event) => {
    const { sourceElement, request } = event.detail.ctx;
    if (sourceElement.id !== "decision" || isOfAudit(sourceElement)) return;
    event.preventDefault();
    decide(sourceElement, request);
  });
  window.addEventListener("beforeunload", (event) => {
    if (storing) event.preventDefault();
  });

  async function decide(form, request) {
    await storing;
    if (!form.isConnected) return; // the decision before was refused, and its card is back
    const next = ahead;
    ahead = null;
    if (next) {
      request.body.set("ahead", next.dataset.instance);
      show(next);
    }
    say(card(), "storing");
    storing = store(request);
    await storing;
    storing = null;
    if (!ahead) fetchAhead(card);
  }

  async function store(request) {
    for (;;) {
      const keepalive = request.body.toString().length < MOST_KEPT_ALIVE;
      const answer = await fetch(request.action, { ...request, keepalive }).catch(() => null);
      const elsewhere = answer?.headers.get("HX-Redirect");
      if (elsewhere) {
        storing = null;
        return location.assign(elsewhere);
      }
      const found = answer && answer.status < 500 ? parsed(await answer.text()) : null;
      if (found?.getElementById("stored")) return takeIn(card(), found);
      const returned = found && cardIn(found);
      if (returned) {
        document.activeElement?.blur(); // what was begun on the next card is saved as a draft, and comes with it
        return show(returned);
      }
      const why = found ? found.body.textContent.trim() : "the server does not answer";
      say(card(), `not stored yet, trying again: ${why}`);
      await new Promise((resume) => setTimeout(resume, AGAIN_AFTER_MS));
    }
  }
}

function takeIn(card, found) {
  for (const id of ["counts", "steps"]) {
    const part = found.getElementById(id);
    card.querySelector(`#${id}`)?.replaceWith(part);
    htmx.process(part);
  }
  const undo = found.querySelector("#stored > #undo");
  if (undo) {
    card.append(undo);
    htmx.process(undo);
  }
  const template = found.querySelector("template");
  if (template) keep(cardIn(template.content));
}

function keep(next) {
  startTime(next);
  ahead = next;
}

// In place of the ways to earlier decisions, which are not the last ones while one is under way.
function say(card, words) {
  const steps = card.querySelector("#steps");
  if (!steps) return;
  const said = document.createElement("span");
  said.className = "small muted";
  said.setAttribute("role", "status");
  said.textContent = words;
  steps.replaceChildren(said);
  card.querySelector("#undo")?.remove();
}

// An answer there stands, and what comes next may hang on it: the card waits for the server.
const isOfAudit = (form) => form.dataset.stream === "audit";

const parsed = (text) => new DOMParser().parseFromString(text, "text/html");
const cardIn = (root) => root.querySelector("#card");
