// The review screen. Everything here is a shortcut: each form and link works without it.

import { fetchAhead, startAhead } from "./ahead.js";
import { listen } from "./hotkeys.js";
import { startEditor } from "./editor.js";
import { startClock } from "./lease_clock.js";
import { startReasons } from "./reasons.js";

const card = () => document.getElementById("card");

function wrapLines() {
  const wrap = localStorage.getItem("wrap") === "yes";
  for (const code of card().querySelectorAll("pre.code:not(.diff)")) code.classList.toggle("wrap", wrap);
  for (const button of card().querySelectorAll("[data-wrap]")) button.setAttribute("aria-pressed", wrap);
}

function toggleWrap() {
  localStorage.setItem("wrap", localStorage.getItem("wrap") === "yes" ? "no" : "yes");
  wrapLines();
}

function toggleDiff() {
  const button = card().querySelector("[data-diff]");
  if (!button) return;
  if (card().hasAttribute("data-editing")) return;
  const show = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", show);
  for (const changed of card().querySelectorAll(".changed")) {
    changed.hidden = !show;
    changed.parentElement.querySelector(".shown").hidden = show;
  }
}

// Where the screen is narrow: the raw code in place of the verdict, and back.
function toggleSnippet() {
  card().classList.toggle("show-snippet");
}

function open(name) {
  const dialog = document.getElementById(name);
  if (dialog && !dialog.open) dialog.showModal();
  return Boolean(dialog);
}

function dress() {
  wrapLines();
  startEditor(card());
  startClock(card());
}

function keepGuidelineSeen() {
  const dialog = document.getElementById("guideline");
  if (!dialog) return;
  const form = dialog.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("close", () => {
    card().focus();
    if (!("unseen" in dialog.dataset)) return;
    delete dialog.dataset.unseen;
    fetch(form.action, { method: "POST", body: new FormData(form), redirect: "manual" });
  });
  if ("unseen" in dialog.dataset) dialog.showModal();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener && open(opener.dataset.opens)) event.preventDefault();
  if (event.target.closest("[data-wrap]")) toggleWrap();
  if (event.target.closest("[data-diff]")) toggleDiff();
  if (event.target.closest("[data-snippet]")) toggleSnippet();
});

// A new card: the focus goes to it, and its first line is read out.
function arrive() {
  dress();
  window.scrollTo(0, 0);
  const alert = card().querySelector("[role=alert]");
  if (!card().contains(document.activeElement) || !document.activeElement.matches("textarea")) {
    card().focus({ preventScroll: true });
  }
  document.getElementById("announce").textContent = alert ? alert.textContent : card().dataset.announce;
}

function show(next) {
  card().replaceWith(next);
  htmx.process(next);
  arrive();
}

document.addEventListener("htmx:after:settle", () => {
  if (!card() || card().dataset.dressed) return;
  arrive();
  fetchAhead(card);
});

document.documentElement.classList.add("js");
dress();
startReasons();
startAhead(card, show);
fetchAhead(card);
listen({ card, open, toggleDiff, toggleSnippet, toggleWrap });
if (!card().hasAttribute("data-editing")) card().focus({ preventScroll: true });
keepGuidelineSeen();
