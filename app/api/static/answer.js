// Draws the answer: verdict, a bar per class, times, facts, the command, and problems.

import { element, make, setText, show } from "./dom.js";
import { fullLabel, labelOf, milliseconds, percent, share, shortDigest, signed } from "./format.js";
import { knows, say } from "./words.js";

const STAGES = ["decode", "preprocess", "queue", "inference", "render"];
const MOST_BARS = 10;

/** How many classes to ask for, so that every bar has its number. */
export function barCount(model) {
  return Math.min(model.classes?.length ?? MOST_BARS, MOST_BARS);
}

/** Few classes keep the manifest's order, so that a class is always under the same key; many go by probability. */
export function classesInOrder(model, answer) {
  const known = model.classes ?? [];
  const scores = [...answer.top_k];
  if (known.length <= MOST_BARS) scores.sort((a, b) => a.class_index - b.class_index);
  return scores;
}

/** @param {{answer, shown, model, wanted}} state wanted: class whose evidence was asked for */
export function drawAnswer({ answer, shown, model, wanted }) {
  show("result", Boolean(answer));
  if (!answer) return;
  const { label, name } = labelOf(model, answer.class);
  setText("verdict-label", label);
  setText("verdict-name", name);
  setText("verdict-probability", percent(answer.probability));
  drawBars(classesInOrder(model, answer), model, shown.explanation.target.class, wanted);
  drawWarnings([...new Set([...answer.warnings, ...(model.warnings ?? [])])]);
  drawTimes(shown.timings_ms);
  drawFacts(shown, model);
}

function drawBars(scores, model, shownClass, wanted) {
  const bars = element("bars");
  while (bars.children.length > scores.length) bars.lastChild.remove();
  while (bars.children.length < scores.length) bars.append(make("li", "", newBar()));
  scores.forEach((score, place) => {
    const button = bars.children[place].firstChild;
    const [key, label, number, track] = button.children;
    const { label: text, name } = labelOf(model, score.class);
    const probability = percent(score.probability);
    key.textContent = place < 9 ? place + 1 : "";
    label.replaceChildren(text, ...(name ? [make("small", "", name)] : []));
    number.textContent = probability;
    track.firstChild.style.width = `${score.probability * 100}%`;
    button.dataset.class = score.class;
    button.ariaPressed = String(score.class === shownClass);
    button.ariaBusy = String(score.class === wanted && wanted !== shownClass);
    button.ariaLabel = say("answer.class", { class: fullLabel(model, score.class), probability });
  });
}

function newBar() {
  const track = make("span", "track", make("span", "fill"));
  const key = make("kbd", "");
  key.ariaHidden = "true";
  const button = make("button", "bar", key, make("span", "name"), make("span", "number"), track);
  button.type = "button";
  return button;
}

function drawWarnings(warnings) {
  show("warnings", warnings.length > 0);
  element("warnings-list").replaceChildren(...warnings.map((text) => make("li", "", text)));
}

function drawTimes(timings) {
  const known = STAGES.reduce((sum, stage) => sum + timings[stage], 0);
  const parts = [...STAGES.map((stage) => [stage, timings[stage]]), ["rest", Math.max(0, timings.total - known)]];
  setText("time-total", say("time.total", { number: milliseconds(timings.total) }));
  element("timeline").replaceChildren(
    ...parts.map(([stage, ms]) => {
      const part = make("span", stage);
      part.style.flexGrow = ms;
      return part;
    }),
  );
  element("times").replaceChildren(
    ...parts.map(([stage, ms]) => {
      return make("div", stage, make("dt", "", say(`time.${stage}`)), make("dd", "", milliseconds(ms)));
    }),
  );
}

function drawFacts(shown, model) {
  const { model: served, image, explanation } = shown;
  const { values, bias, shape: [rows, columns], positive_fraction } = explanation.grid;
  const { share_inside: inside } = explanation.regions;
  const cells = values.flat();
  const facts = {
    model: `${served.name} ${served.version}`,
    digest: shortDigest(served.digest),
    network: [model.architecture, explanation.layer].filter(Boolean).join(", "),
    device: [model.device, model.engine, model.precision].filter(Boolean).join(", "),
    picture: `${image.width} × ${image.height}, ${image.format}`,
    batch: String(shown.batch_size),
    map: cells.length ? say("fact.map.cells", { columns, rows, share: share(positive_fraction) }) : "",
    expected: inside === null ? "" : say("fact.expected.share", { share: share(inside) }),
    sum: explanation.exact ? sumRule(explanation.target.logit, bias, cells) : "",
    request: shown.id,
  };
  const nodes = Object.entries(facts).flatMap(([fact, value]) =>
    value ? [make("dt", "", say(`fact.${fact}`)), make("dd", "", value)] : [],
  );
  element("facts").replaceChildren(...nodes);
}

function sumRule(logit, bias, cells) {
  const mean = cells.reduce((sum, value) => sum + value, 0) / cells.length;
  return say("fact.sum.rule", { logit: signed(logit), bias: signed(bias), mean: signed(mean) });
}

/** What went wrong, in the reader's language by its code, with the server's own words beneath. */
export function drawProblem({ problem, picture }) {
  show("problem", Boolean(problem));
  if (!problem) return;
  const code = knows(`error.${problem.code}`) ? problem.code : "unexpected";
  setText("problem-title", say(`error.${code}`));
  setText("problem-hint", say(`error.${code}.hint`));
  setText("problem-name", picture?.name ?? "");
  show("problem-name", Boolean(picture));
  setText("problem-detail", problem.detail);
  setText("problem-id", problem.id ? say("answer.id", { id: problem.id }) : "");
  show("problem-detail", Boolean(problem.detail));
  show("problem-id", Boolean(problem.id));
  show("retry", problem.isPassing);
}
