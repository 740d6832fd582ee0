// What is seen at a glance, as sentences for those who listen. Pure: values in, text out.

import { sentenceOf, verdictOf } from "./closer.js";
import { fullLabel, percent } from "./format.js";
import { caption } from "./stage.js";
import { say } from "./words.js";

export function spokenAnswer(state) {
  const { answer, answeredBy: model } = state;
  const said = { class: fullLabel(model, answer.class), probability: percent(answer.probability) };
  return `${say("answer.spoken", said)} ${spokenEvidence(state)}`;
}

export function spokenEvidence(state) {
  return `${sentenceOf(state)} ${caption(state)}`.trim();
}

export function spokenCheck(state) {
  return `${verdictOf(state)} ${sentenceOf(state)}`;
}
