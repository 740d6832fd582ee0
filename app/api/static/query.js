// What is asked of POST /explain, from what is known.

import { barCount } from "./answer.js";
import { explainQuery } from "./server.js";
import { COLOURS } from "./stage.js";
import { shownClass, state, USUAL_STRENGTH } from "./state.js";
import { currentLanguage } from "./words.js";

const MOST_CLASSES = 9; // on one sheet

/** One map, in full strength: the slider fades it. */
export function mapQuery(model, more = {}, colours = state.colours) {
  return explainQuery(model, { top_k: barCount(model), opacity: 1, ...COLOURS[colours], ...more });
}

/** What is seen now. */
export function shownQuery() {
  const target = shownClass();
  const check = state.checks.has(target) ? { check: "cover" } : {};
  return mapQuery(state.answeredBy, { opacity: state.strength / 100, target, ...check }, state.shown.colours);
}

/** Several maps of the shown class, or of several classes, in one picture. */
export function sheetQuery(kind) {
  const { answeredBy: model } = state;
  const every = kind === "classes" && model.classes.length > MOST_CLASSES ? `top${MOST_CLASSES}` : "all";
  const opacity = (state.strength || USUAL_STRENGTH) / 100;
  return mapQuery(model, { opacity, target: shownClass(), [kind]: every, language: currentLanguage() });
}
