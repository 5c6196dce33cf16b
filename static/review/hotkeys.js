// One key, one action. Off while somebody types, chooses or has a dialog open.

import { stored } from "./ahead.js";

const TYPING = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";
const OF_THE_PAST = ["u", "k"];
const ARROWS = { ArrowLeft: "k", ArrowRight: "j" };

export function listen({ card, open, toggleDiff, toggleSnippet, toggleWrap }) {
  const actions = {
    "?": () => open("keys"),
    g: () => open("guideline") || card().querySelector("[data-opens=guideline]").click(),
    n: () => card().querySelector("#note")?.focus(),
    o: toggleSnippet,
    d: toggleDiff,
    w: toggleWrap,
  };

  // While a decision is under way there is nothing to undo yet: the key waits for it.
  const later = (key) => () => stored().then(() => press(card(), key)?.());

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && event.target.matches?.("#note")) card().focus();
    if (document.querySelector("dialog[open]") || event.target.closest?.(TYPING)) return;
    // In code that scrolls sideways the arrows scroll.
    if (event.key in ARROWS && event.target.closest?.("pre")) return;
    const key = ARROWS[event.key] ?? event.key;
    const act = actions[key] ?? press(card(), key) ?? (OF_THE_PAST.includes(key) && later(key));
    if (!act) return;
    event.preventDefault();
    act();
  });
}

// The button or link that carries this key and can be seen, or the rule with this number.
function press(card, key) {
  if (/^[1-9]$/.test(key)) {
    const box = card.querySelector(`[data-number="${key}"]`);
    return box && (() => overrule(box));
  }
  if (!/^[a-z]$/.test(key)) return null;
  const target = [...card.querySelectorAll(`[data-key="${key}"]`)].find((one) => one.checkVisibility());
  return target && (() => target.click());
}

function overrule(box) {
  const folded = box.closest("details");
  if (folded) folded.open = true;
  box.checked = !box.checked;
  box.closest(".rule").scrollIntoView({ block: "nearest" });
}
