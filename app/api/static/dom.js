// The few things that every drawing function needs.

import { say } from "./words.js";

export const element = (id) => document.getElementById(id);

/** <tag class="…">children</tag>; children are text or nodes, so nothing from the server is read as HTML. */
export function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** aria-… of a node. By attribute: Firefox before 119 has no properties such as ariaPressed. */
export function setAria(node, values) {
  for (const [name, value] of Object.entries(values)) node.setAttribute(`aria-${name}`, value);
}

export function show(id, isShown) {
  element(id).hidden = !isShown;
}

export function setText(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

/** Fill in every element that only says one of our words. */
export function sayAll() {
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = say(node.dataset.word);
}
