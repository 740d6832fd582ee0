// Shows a picture of several maps in a window above the page.

import { element, setText } from "./dom.js";
import { fullLabel } from "./format.js";
import { dataAddress } from "./server.js";
import { say } from "./words.js";

/** @param kind "layers" or "classes" */
export function openSheet(kind, { cam, explanation }, model) {
  const named = { class: fullLabel(model, explanation.target.class) };
  const image = element("sheet-picture");
  image.src = dataAddress(cam);
  image.width = cam.width;
  image.height = cam.height;
  image.alt = say(`sheet.${kind}.picture`, { ...named, parts: partsOf(explanation, model).join(", ") });
  setText("sheet-title", say(`sheet.${kind}`, named));
  setText("sheet-hint", say(`sheet.${kind}.hint`));
  if (!element("sheet").open) element("sheet").showModal();
}

export function closeSheet() {
  element("sheet").close();
}

function partsOf({ layers, classes }, model) {
  if (layers) return layers.maps.map((map) => map.layer);
  return classes.maps.map((map) => fullLabel(model, map.target.class));
}
