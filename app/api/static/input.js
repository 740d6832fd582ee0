// Files from the chooser, from a drop anywhere on the page and from the clipboard; and the single keys.

import { element } from "./dom.js";

/** @param onFiles called with the files; with none where something else was dropped that came from elsewhere */
export function listenForFiles(onFiles) {
  const chooser = element("file");
  chooser.addEventListener("change", () => {
    const files = [...chooser.files];
    chooser.value = ""; // so that the same file can be chosen again
    if (files.length) onFiles(files);
  });

  let isOwn = false; // begun on this page: a press on the picture that slipped
  addEventListener("dragstart", () => (isOwn = true));
  addEventListener("dragend", () => (isOwn = false));
  addEventListener("pointermove", () => (isOwn = false)); // a drag's source that was drawn anew meanwhile tells no end

  let depth = 0; // dragenter and dragleave come for every element that is crossed
  const follow = (step) => {
    depth = step === 0 ? 0 : Math.max(0, depth + step);
    document.body.classList.toggle("dragging", depth > 0);
  };
  addEventListener("dragenter", () => isOwn || follow(1));
  addEventListener("dragleave", () => isOwn || follow(-1));
  addEventListener("dragover", (event) => isOwn || event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    follow(0);
    if (!isOwn) onFiles(filesOf(event.dataTransfer));
  });
  addEventListener("paste", (event) => {
    const files = filesOf(event.clipboardData);
    if (files.length) onFiles(files);
  });
}

/** The files among what was dropped; a folder looks like a file until it is read. */
function filesOf(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  if (items.some((item) => item.webkitGetAsEntry?.()?.isDirectory)) return [];
  return items.map((item) => item.getAsFile()).filter(Boolean);
}

/**
 * Single keys, by their place on the keyboard: with a Korean input method O types ㅐ. Those of the number pad are
 * digits only while its lock is on.
 */
export function listenForKeys(actions) {
  const help = element("help");
  const enabled = element("keys-enabled");
  enabled.checked = actions.areEnabled;
  enabled.addEventListener("change", () => actions.onEnabled(enabled.checked));
  element("open-help").addEventListener("click", () => help.showModal());

  const byPlace = {
    KeyO: actions.open,
    KeyN: () => actions.step(1),
    KeyP: () => actions.step(-1),
    KeyE: actions.toggleEvidence,
    KeyR: actions.toggleMarks,
    KeyK: actions.check,
    KeyD: actions.showLayers,
    KeyA: actions.showClasses,
    KeyC: actions.copy,
    KeyL: actions.nextLanguage,
    NumpadAdd: () => actions.changeStrength(10),
    NumpadSubtract: () => actions.changeStrength(-10),
  };
  const byText = {
    "?": () => help.showModal(),
    "+": () => actions.changeStrength(10),
    "=": () => actions.changeStrength(10),
    "-": () => actions.changeStrength(-10),
  };
  addEventListener("keydown", (event) => {
    if (!enabled.checked || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("select, textarea, input:not([type=range], [type=file])")) return;
    const digit = /^Digit([1-9])$/.exec(event.code) ?? /^([1-9])$/.exec(event.key);
    const action = digit ? () => actions.showClass(Number(digit[1]) - 1) : byPlace[event.code] ?? byText[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
