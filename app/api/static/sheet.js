// Shows a picture of several maps in a window above the page.

import { element, setText } from "./dom.js";
import { fullLabel } from "./format.js";
import { nameOf } from "./models.js";
import { dataAddress } from "./server.js";
import { knows, say } from "./words.js";

/**
 * @param kind "layers" or "classes"
 * @param name of the picture
 */
export function openSheet(kind, { cam, explanation, colours }, model, name) {
  const named = { class: fullLabel(model, explanation.target.class) };
  const image = element("sheet-picture");
  image.src = dataAddress(cam);
  image.width = cam.width;
  image.height = cam.height;
  image.alt = say(`sheet.${kind}.picture`, { ...named, parts: partsOf(explanation, model).join(", ") });
  setText("sheet-subject", `${name}, ${nameOf(model)}`);
  setText("sheet-title", say(`sheet.${kind}`, named));
  const hint = `sheet.${kind}.hint`;
  setText("sheet-hint", say(knows(`${hint}.${colours}`) ? `${hint}.${colours}` : hint));
  if (!element("sheet").open) element("sheet").showModal();
}

export function closeSheet() {
  element("sheet").close();
}

function partsOf({ layers, classes }, model) {
  if (layers) return layers.maps.map((map) => map.layer);
  return classes.maps.map((map) => fullLabel(model, map.target.class));
}
