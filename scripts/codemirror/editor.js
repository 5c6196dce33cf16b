// What of CodeMirror the product uses. `make` bundles this folder into static/vendor/codemirror/.

export { EditorState } from "@codemirror/state";
export { EditorView, highlightSpecialChars, keymap, lineNumbers, ViewPlugin } from "@codemirror/view";
export { defaultKeymap, history, historyField, historyKeymap, isolateHistory } from "@codemirror/commands";
export { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
export { MergeView, unifiedMergeView } from "@codemirror/merge";
export { search, searchKeymap } from "@codemirror/search";
export { classHighlighter } from "@lezer/highlight";
export { StyleModule } from "style-mod";
