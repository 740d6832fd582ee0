// Draws which model answers, and which cannot and why.

import { element, make, setText, show } from "./dom.js";
import { say } from "./words.js";

export const keyOf = (model) => `${model.name}/${model.version}`;

/** ready, loading, refused, or faulty: loaded, but not answering just now. */
export function stateOf(model) {
  return model.state === "ready" && model.reason ? "faulty" : model.state;
}

export const canAnswer = (model) => stateOf(model) === "ready";

/** The chosen model if it can answer, else the first default that can, else any. */
export function pick(models, chosen) {
  const able = models.filter(canAnswer);
  return able.find((model) => keyOf(model) === chosen) ?? able.find((model) => model.is_default) ?? able[0] ?? null;
}

/** Whether the model that gave the answer is the one that would answer now, to the byte. */
export function isStillServed({ answer, answeredBy, model }) {
  return Boolean(model) && keyOf(model) === keyOf(answeredBy) && model.digest === answer.model.digest;
}

/** @param {{models, notes, model, outage, version, answer, answeredBy, problem, picture}} state models: null before the first reply */
export function drawModels({ models, notes, model, outage, version, answer, answeredBy, problem, picture }) {
  const known = models ?? [];
  drawSelect(known, model);
  const broken = known.filter((one) => !canAnswer(one));
  const isLoading = broken.some((one) => one.state === "loading");
  const state = outage ? "offline" : model ? "ready" : known.length === 0 || isLoading ? "loading" : "refused";
  element("state").dataset.state = state;
  setText("state", outage ? say(outageWord(outage)) : stateText(state, known, models));
  setText("version", say("page.version", { version }).trim());
  const notice = (answer ? answeredBy : model)?.notice ?? "";
  show("notice", Boolean(notice));
  setText("notice-text", notice);
  document.body.classList.toggle("unready", !model);
  element("file").disabled = !model;
  drawWaiting({ known, isKnown: models !== null, model, outage, isLoading }, !answer && !problem && !picture);
  const reasons = [...broken.map(reasonOf), ...(notes ?? []).map((note) => make("li", "", english(note)))];
  show("others", reasons.length > 0 && !outage);
  show("others-title", Boolean(model)); // without one, the title above says so
  element("others-list").replaceChildren(...reasons);
}

/** A server that does not answer is one thing; something else that answers in its place another. */
function outageWord({ code }) {
  return code === "network" ? "models.offline" : "error.unexpected";
}

function stateText(state, known, models) {
  if (known.length === 0) return models === null ? "" : say("models.empty");
  return say(`state.${state}`);
}

/** Say so, where the answer on the page is not what the model that would answer now has said. */
export function drawOutdated(state) {
  const { answer, answeredBy, model, isBusy } = state;
  const isOutdated = Boolean(answer && model) && !isBusy && !isStillServed(state);
  show("outdated", isOutdated);
  if (!isOutdated) return;
  const named = { model: nameOf(answeredBy), now: nameOf(model) };
  setText("outdated-text", say(named.model === named.now ? "answer.replaced" : "answer.another", named));
  setText("look-again", say("answer.anew", named));
}

export const nameOf = ({ name, version }) => `${name} ${version}`;

function drawSelect(known, model) {
  const select = element("model");
  const options = known.map((one) => {
    const state = stateOf(one);
    const suffix = state === "ready" ? "" : ` (${say(`state.${state}`)})`;
    const option = new Option(`${nameOf(one)}${suffix}`, keyOf(one));
    option.disabled = state !== "ready";
    return option;
  });
  // Rebuilding an open list would close it under the reader's finger.
  const isSame =
    options.length === select.options.length &&
    options.every((option, at) => option.text === select.options[at].text && option.value === select.options[at].value);
  if (!isSame) select.replaceChildren(...options);
  select.value = model ? keyOf(model) : keyOf(known[0] ?? { name: "", version: "" });
  select.disabled = known.filter(canAnswer).length < 2;
  select.parentElement.classList.toggle("absent", known.length === 0);
}

function drawWaiting({ known, isKnown, model, outage, isLoading }, isIdle) {
  const word =
    outage ? outageWord(outage)
    : model ? "answer.none"
    : known.length === 0 ? (isKnown ? "models.empty" : "models.loading")
    : isLoading ? "models.loading"
    : "models.none";
  show("waiting", isIdle || !model);
  element("waiting").classList.toggle("loading", word === "models.loading");
  setText("waiting-title", say(word));
  setText("waiting-hint", say(`${word}.hint`));
}

function reasonOf(model) {
  const title = make("b", "", `${nameOf(model)}: ${say(`state.${stateOf(model)}`)}`);
  // "it is still loading" is said already.
  if (!model.reason || model.state === "loading") return make("li", "", title);
  return make("li", "", title, make("br"), english(model.reason));
}

function english(text) {
  const node = make("span", "small", text);
  node.lang = "en";
  return node;
}
