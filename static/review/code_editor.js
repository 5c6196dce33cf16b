// A field of the form as a code editor (CodeMirror). The field stays the source of truth: it takes what is typed, and
// a `change` event on it brings a text that was put there from elsewhere into the editor.

import * as cm from "../vendor/codemirror/editor.js";
import { modelText } from "./model_text.js";

const { EditorState, EditorView } = cm;

// The same characters that pages mark (app/web/hidden_characters.py).
const HIDDEN =
  /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;
const LONG_LINE = /.{5000}/; // wrapping lines that are longer takes seconds, they scroll sideways
const COARSE_DIFF = { scanLimit: 500, timeout: 200 }; // ms; beyond it whole stretches count as changed
// The card saves and leaves with these.
const CARD_KEYS = ["Mod-Enter", "Escape"];

adoptStyles();

// CodeMirror's own <style> elements are refused by the content security policy; an adopted sheet is none.
function adoptStyles() {
  const sheet = new CSSStyleSheet();
  const mounted = new Set();
  document.adoptedStyleSheets.push(sheet);
  cm.StyleModule.mount = (_root, modules) => {
    const before = mounted.size;
    for (const module of [modules].flat()) mounted.add(module);
    if (mounted.size === before) return;
    const rules = [...mounted].map((module) => module.getRules());
    sheet.replaceSync(`@layer base { ${rules.join("\n")} }`); // below the product's own: review/editor.css
  };
}

export async function languageOf(field) {
  const { language } = field.dataset;
  const found = language && (await import(`../vendor/codemirror/${language}.js`).catch(() => null));
  return found ? found.language : null;
}

// The field is replaced once a layout is set.
export function openEditor(field, language) {
  const [label] = field.labels;
  const model = modelText(field);
  const wrapping = [model, field.value].some((text) => LONG_LINE.test(text)) ? [] : EditorView.lineWrapping;
  const place = document.createElement("div");
  place.className = "code-editor";
  field.after(place);
  let view;
  let opened; // the view, or the pair of it and the model's

  function setLayout(layout) {
    const isFocused = view ? view.hasFocus : document.activeElement === field;
    const { doc = field.value, selection = { anchor: field.selectionStart } } = view?.state ?? {};
    const extensions = [shown(label.textContent, language), wrapping, writing(model), writesTo(field), kept(view?.state)];
    opened?.destroy();
    if (layout === "split") {
      const title = `${label.textContent}, the model's text`;
      const a = { doc: model, extensions: [shown(title, language), wrapping, reading()] };
      opened = new cm.MergeView({ a, b: { doc, selection, extensions }, parent: place, diffConfig: COARSE_DIFF });
      view = opened.b;
    } else {
      if (layout === "unified") extensions.push(unified(model));
      opened = view = new EditorView({ doc, selection, extensions, parent: place });
    }
    field.hidden = true;
    if (isFocused) view.focus();
  }

  field.addEventListener("change", () => {
    if (view.state.doc.toString() === field.value) return;
    const changes = { from: 0, to: view.state.doc.length, insert: field.value };
    view.dispatch({ changes, annotations: cm.isolateHistory.of("full") });
  });
  label.addEventListener("click", () => view.focus());
  return { place, setLayout, focus, close: () => opened?.destroy() };

  function focus() {
    view.dispatch({ selection: { anchor: 0 }, scrollIntoView: true });
    view.focus();
  }
}

const shown = (label, language) => [
  EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", tabindex: "0" }),
  EditorState.tabSize.of(4),
  language ? [language, cm.lineNumbers()] : [], // prose has neither
  cm.syntaxHighlighting(cm.classHighlighter),
  cm.highlightSpecialChars({ specialChars: HIDDEN, render: marked }),
  cm.search({ top: true }),
];

// Tab moves the focus, as everywhere; Ctrl ] and Ctrl [ indent.
const writing = (model) => [
  cm.history(),
  cm.indentUnit.of(indentOf(model)),
  cm.indentOnInput(),
  cm.bracketMatching(),
  keys([...cm.defaultKeymap, ...cm.historyKeymap, ...cm.searchKeymap]),
];

const reading = () => [EditorState.readOnly.of(true), keys([...cm.defaultKeymap, ...cm.searchKeymap])];

const keys = (bindings) => cm.keymap.of(bindings.filter((one) => one.scope || !CARD_KEYS.includes(one.key)));

const unified = (model) => [
  cm.unifiedMergeView({ original: model, mergeControls: false, diffConfig: COARSE_DIFF }),
  markDeleted,
];

// highlightSpecialChars does not reach the model's lines of a unified diff: those are widgets.
const markDeleted = cm.ViewPlugin.define((view) => {
  const request = { read: () => view.contentDOM.querySelectorAll(".cm-deletedChunk").forEach(markWithin) };
  const update = () => view.requestMeasure(request);
  update();
  return { update };
});

function markWithin(element) {
  if (element.dataset.marked) return;
  element.dataset.marked = "yes";
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    // From the end, since cutting a text leaves its beginning in place.
    for (const found of [...text.data.matchAll(HIDDEN)].reverse()) {
      const character = text.splitText(found.index);
      character.splitText(found[0].length);
      character.replaceWith(marked(found[0].codePointAt(0)));
    }
  }
}

// What can be undone outlives a change of the layout.
const kept = (state) => (state ? cm.historyField.init(() => state.field(cm.historyField)) : []);

function writesTo(field) {
  return EditorView.updateListener.of((update) => {
    if (!update.docChanged) return;
    const text = update.state.doc.toString();
    if (text === field.value) return; // it came from there
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

function indentOf(text) {
  return /^(?:\t| {2,8})(?=\S)/m.exec(text)?.[0] ?? "    ";
}

function marked(code) {
  const mark = document.createElement("span");
  mark.className = "hidden-char";
  mark.dataset.code = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return mark;
}
