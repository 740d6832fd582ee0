// Draws the picture, the overlay above it and the sentence about its colours.

import { element, setText, show } from "./dom.js";
import { fullLabel, percent, share } from "./format.js";
import { isStillServed } from "./models.js";
import { dataAddress } from "./server.js";
import { say } from "./words.js";

/** What the colours select offers, and what the server calls it. */
export const COLOURS = {
  inferno: { colormap: "inferno", normalization: "max" },
  viridis: { colormap: "viridis", normalization: "max" },
  cividis: { colormap: "cividis", normalization: "max" },
  jet: { colormap: "jet", normalization: "max" },
  signed: { normalization: "signed" },
};

/** Offer the colours, in the current language. */
export function drawColours(chosen) {
  const options = Object.keys(COLOURS).map((name) => {
    const text = name === "signed" ? say("evidence.signed") : name[0].toUpperCase() + name.slice(1);
    return new Option(text, name, false, name === chosen);
  });
  element("colours").replaceChildren(...options);
}

/** @param {{subject, plain, answer, shown, answeredBy, strength}} state plain: address of the picture without a map */
export function drawStage(state) {
  const { subject, plain, answer, shown, answeredBy: model, strength } = state;
  const isEmpty = !plain && !shown?.cam;
  element("stage").classList.toggle("empty", isEmpty);
  show("drop", isEmpty);
  show("plain", Boolean(plain));
  show("chip", !isEmpty);
  show("evidence", Boolean(shown));
  show("overlay", Boolean(shown?.cam));
  if (!shown) return;
  const target = fullLabel(model, shown.explanation.target.class);
  const { colours } = shown;
  const hasMap = mapIsDrawn(shown);
  setText("chip", `${fullLabel(model, answer.class)}  ${percent(answer.probability)}`);
  if (plain) replaceSource("plain", plain);
  element("plain").alt = say("evidence.picture", { name: subject.name });
  if (shown.cam) replaceSource("overlay", dataAddress(shown.cam));
  element("overlay").alt = say("evidence.overlay", { class: target });
  element("evidence").classList.toggle("silent", !hasMap);
  element("strength").disabled = !hasMap || !plain; // without the picture beneath, nothing shows through
  element("colours").disabled = !isStillServed(state);
  setText("caption", `${caption(state)} ${isEmpty ? say("evidence.unseen") : ""}`.trim());
  setText("legend-low", say(colours === "signed" ? "evidence.against" : "evidence.little"));
  setText("legend-high", say(colours === "signed" ? "evidence.for" : "evidence.strong"));
  element("ramp").dataset.colours = colours;
  drawStrength(strength);
}

/**
 * The overlay was drawn at full strength, so its CSS opacity blends as the server would. Without a map it
 * holds only the frame, which is always shown.
 */
export function drawStrength(strength) {
  element("overlay").style.opacity = element("strength").disabled ? 1 : strength / 100;
  element("strength").value = strength;
  element("evidence").style.setProperty("--at", `${strength}%`);
  setText("strength-number", share(strength / 100));
}

/** What the colours mean, in plain words. */
export function caption({ shown, answer, answeredBy: model }) {
  const { explanation, image, colours } = shown;
  const { grid, target, geometry } = explanation;
  const named = { class: fullLabel(model, target.class) };
  if (explanation.evidence === "none") return say("evidence.impossible");
  if (grid.status === "no_positive_evidence" && colours !== "signed") {
    return say(target.class === answer.class ? "evidence.nothing.top" : "evidence.nothing", named);
  }
  const [rows, columns] = grid.shape;
  return [
    say(colours === "signed" ? "evidence.caption.signed" : "evidence.caption", named),
    say(sawEverything(geometry.field_of_view, image) ? "evidence.whole" : "evidence.frame"),
    say("evidence.coarse", { columns, rows }),
    explanation.evidence === "gradient" ? say("evidence.approximate") : "",
  ].join(" ").trim();
}

function mapIsDrawn({ cam, explanation, colours }) {
  const isBlank = explanation.grid.status === "no_positive_evidence" && colours !== "signed";
  return Boolean(cam) && explanation.evidence !== "none" && !isBlank;
}

/** Within a hundredth of the picture on every side. */
function sawEverything([left, top, right, bottom], { width, height }) {
  const x = width / 100;
  const y = height / 100;
  return left <= x && top <= y && right >= width - x && bottom >= height - y;
}

function replaceSource(id, address) {
  if (element(id).src !== address) element(id).src = address;
}
