// Draws the answer: verdict, a bar per class, times, facts, the command, and problems.

import { element, make, setAria, setText, show } from "./dom.js";
import { fullLabel, labelOf, milliseconds, moment, percent, share, shortDigest, signed } from "./format.js";
import { isStillServed } from "./models.js";
import { knows, say } from "./words.js";

const STAGES = ["decode", "preprocess", "queue", "inference", "render"];
const MOST_BARS = 10;
const MOST_KEYS = 9;

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

/** @param {{answer, answeredAt, shown, subject, answeredBy, wanted}} state wanted: class whose evidence was asked for */
export function drawAnswer(state) {
  const { answer, answeredAt, shown, subject, answeredBy: model, wanted } = state;
  show("result", Boolean(answer));
  if (!answer) return;
  const { label, name } = labelOf(model, answer.class);
  setText("subject", subject.name);
  setText("verdict-label", label);
  setText("verdict-name", name);
  setText("verdict-probability", percent(answer.probability));
  drawBars(classesInOrder(model, answer), model, shown.explanation.target.class, wanted);
  for (const button of element("bars").querySelectorAll("button")) button.disabled = !isStillServed(state);
  drawWarnings([...new Set([...answer.warnings, ...(model.warnings ?? [])])]);
  drawTimes(shown.timings_ms);
  drawFacts(shown, model, answeredAt);
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
    key.textContent = place + 1;
    key.style.visibility = place < MOST_KEYS ? "" : "hidden"; // it keeps its place, so that names are in one line
    label.replaceChildren(text, ...(name ? [make("small", "", name)] : []));
    number.textContent = probability;
    track.firstChild.style.width = `${score.probability * 100}%`;
    button.dataset.class = score.class;
    setAria(button, {
      pressed: score.class === shownClass,
      busy: score.class === wanted && wanted !== shownClass,
      label: say("answer.class", { class: fullLabel(model, score.class), probability }),
    });
  });
}

function newBar() {
  const track = make("span", "track", make("span", "fill"));
  const key = make("kbd", "");
  setAria(key, { hidden: true });
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

function drawFacts(shown, model, answeredAt) {
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
    sum: explanation.exact ? sumRule(explanation.target.logit, bias) : "",
    request: shown.id,
    answered: moment(answeredAt),
  };
  const nodes = Object.entries(facts).flatMap(([fact, value]) =>
    value ? [make("dt", "", say(`fact.${fact}`)), make("dd", "", value)] : [],
  );
  element("facts").replaceChildren(...nodes);
}

/** The mean evidence is what is left of the two as they are written; rounded by itself, the sum would look wrong. */
function sumRule(logit, bias) {
  const mean = Number(logit.toFixed(2)) - Number(bias.toFixed(2));
  return say("fact.sum.rule", { logit: signed(logit), bias: signed(bias), mean: signed(mean) });
}

/** What went wrong, in the reader's language by its code, with the server's own words beneath. */
export function drawProblem({ problem }) {
  show("problem", Boolean(problem));
  if (!problem) return;
  const code = knows(`error.${problem.code}`) ? problem.code : "unexpected";
  setText("problem-title", say(`error.${code}`));
  setText("problem-hint", say(`error.${code}.hint`));
  setText("problem-name", problem.about);
  show("problem-name", Boolean(problem.about));
  setText("problem-detail", problem.detail);
  setText("problem-id", problem.id ? say("answer.id", { id: problem.id }) : "");
  show("problem-detail", Boolean(problem.detail));
  show("problem-id", Boolean(problem.id));
  show("retry", problem.isPassing);
}
