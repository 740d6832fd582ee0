// The page: holds what is known, asks the server, and has the other modules draw it.
// Nothing is kept beyond this tab but the reader's language and habits.

import { barCount, drawAnswer, drawProblem } from "./answer.js";
import { element, sayAll, setText, show } from "./dom.js";
import { asCurl, fileName, fullLabel, percent } from "./format.js";
import { listenForFiles, listenForKeys } from "./input.js";
import { drawModels, keyOf, pick } from "./models.js";
import { drawSamples } from "./samples.js";
import { explain, explainQuery, fetchSample, listModels, plainPicture, Problem } from "./server.js";
import { caption, COLOURS, drawColours, drawStage, drawStrength } from "./stage.js";
import { currentLanguage, LANGUAGES, say, speak } from "./words.js";

const POLL_MS = { waiting: 1000, settled: 30_000 };
const USUAL_STRENGTH = 60;

const state = {
  models: null, // null before the first reply
  notes: [],
  version: "", // of the server
  isOffline: false,
  chosen: null, // "name/version", once the reader chose
  model: null,
  picture: null, // {name, blob, address?}: what is being looked at
  plain: null, // object address of the picture without a map
  answer: null, // reply for the predicted class
  shown: null, // reply whose evidence is on the stage
  wanted: null, // class whose evidence was asked for
  replies: new Map(), // class name -> reply, for this picture and these colours
  problem: null,
  retry: null,
  several: null, // name of the first of several files
  isBusy: false,
  strength: Number(remembered("strength") ?? USUAL_STRENGTH),
  colours: remembered("colours") in COLOURS ? remembered("colours") : "inferno",
};
let work = new AbortController();
let nextWatch = 0;

// --- what happens ------------------------------------------------------------------------------

/** Classify one picture; an earlier one still under way is given up. */
async function look(picture, load = async () => picture.blob) {
  const { signal } = begin({ picture, isBusy: true });
  await attempt(signal, () => look(picture, load), async () => {
    picture.blob = await load(signal);
    check(picture);
    const { model } = state;
    const answer = await explain(picture, queryFor(model), signal);
    const plain = URL.createObjectURL(await plainPicture(picture, model, signal));
    if (signal.aborted) return URL.revokeObjectURL(plain);
    forget();
    Object.assign(state, { plain, answer, shown: answer, replies: new Map([[answer.class, answer]]) });
    setText("spoken", spoken());
  }, forget);
}

/** Show the evidence for one class of the picture at hand. */
async function showEvidenceFor(className) {
  if (!state.answer || state.wanted === className) return;
  const known = state.replies.get(className);
  const { signal } = begin({ wanted: className });
  await attempt(signal, () => showEvidenceFor(className), async () => {
    const reply = known ?? (await explain(state.picture, queryFor(state.model, className), signal));
    if (signal.aborted) return;
    state.replies.set(className, reply);
    state.shown = reply;
    setText("spoken", caption(reply, state.answer, state.model, state.colours));
  });
}

function begin(changes) {
  work.abort();
  work = new AbortController();
  Object.assign(state, { problem: null, retry: null, several: null, wanted: null, isBusy: false }, changes);
  draw();
  return work;
}

async function attempt(signal, again, action, onFailure = () => {}) {
  try {
    await action();
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    onFailure();
    Object.assign(state, { problem: error, retry: again });
    if (error.isPassing) watchModels(); // what is told of the server is out of date
  } finally {
    if (!signal.aborted) {
      Object.assign(state, { isBusy: false, wanted: null });
      draw();
      if (state.problem) element("problem").scrollIntoView({ block: "nearest" });
    }
  }
}

function check({ blob }) {
  if (!state.model) throw new Problem("not_ready");
  if (blob.size === 0) throw new Problem("empty_file");
}

/** No answer may stand beside a picture that it does not belong to. */
function forget() {
  if (state.plain) URL.revokeObjectURL(state.plain);
  Object.assign(state, { plain: null, answer: null, shown: null, replies: new Map() });
}

function queryFor(model, target) {
  return explainQuery(model, { top_k: barCount(model), opacity: 1, ...COLOURS[state.colours], target });
}

/** The command shows the overlay as the slider has it. */
function command() {
  const target = state.shown.explanation.target.class;
  const query = queryFor(state.model, target);
  query.set("opacity", state.strength / 100);
  return asCurl(state.picture, query);
}

function spoken() {
  const { answer, model, colours } = state;
  return say("answer.spoken", {
    class: fullLabel(model, answer.class),
    probability: percent(answer.probability),
    caption: caption(answer, answer, model, colours),
  });
}

function lookAtFiles(files) {
  if (files.length === 0) {
    forget();
    begin({ picture: null });
    state.problem = new Problem("not_a_file");
    return draw();
  }
  look({ name: files[0].name || "picture", blob: files[0] });
  if (files.length > 1) state.several = files[0].name;
  draw();
}

function lookAtSample(address) {
  look({ name: fileName(address), address }, (signal) => fetchSample(address, signal));
}

function stepSample(step) {
  const samples = state.model?.golden_images ?? [];
  const at = samples.indexOf(state.picture?.address);
  const next = at < 0 ? (step > 0 ? 0 : samples.length - 1) : (at + step + samples.length) % samples.length;
  if (samples.length) lookAtSample(samples[next]);
}

// --- what is drawn -----------------------------------------------------------------------------

function draw() {
  document.body.classList.toggle("working", state.isBusy);
  drawModels(state);
  drawSamples(state, lookAtSample);
  drawStage(state);
  drawAnswer({ ...state, command: state.shown ? command() : "" });
  drawProblem(state);
  show("several", Boolean(state.several));
  setText("several", state.several ? say("choose.several", { name: state.several }) : "");
  show("busy", state.isBusy);
  setText("busy", state.isBusy ? say("choose.busy", { name: state.picture.name }) : "");
}

function useLanguage(wanted) {
  document.documentElement.lang = speak(wanted);
  document.title = say("page.title");
  sayAll();
  for (const button of document.querySelectorAll("[data-language]")) {
    button.ariaPressed = String(button.dataset.language === currentLanguage());
  }
  element("samples").ariaLabel = say("choose.samples");
  drawColours(state.colours);
  draw();
}

function setStrength(strength) {
  state.strength = Math.min(100, Math.max(0, strength));
  remember("strength", state.strength);
  drawStrength(state.strength);
  if (state.shown) setText("curl", command());
}

async function copyCommand() {
  let word = "curl.copied";
  try {
    await navigator.clipboard.writeText(element("curl").textContent);
  } catch {
    // Browsers have no clipboard over plain http, except on the same machine.
    getSelection().selectAllChildren(element("curl"));
    if (!document.execCommand("copy")) word = "curl.failed";
  }
  setText("copy", say(word));
  setTimeout(() => setText("copy", say("curl.copy")), 2000);
}

// --- what is remembered ------------------------------------------------------------------------

function remembered(name) {
  try {
    return localStorage.getItem(`lineside.${name}`);
  } catch {
    return null; // storage may be forbidden
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`lineside.${name}`, value);
  } catch {
    // Then it is forgotten with the tab.
  }
}

// --- what is listened to -----------------------------------------------------------------------

function chooseLanguage(wanted) {
  remember("language", wanted);
  useLanguage(wanted);
}

function chooseColours(colours) {
  state.colours = colours;
  remember("colours", colours);
  state.replies.clear();
  state.wanted = null;
  if (state.shown) showEvidenceFor(state.shown.explanation.target.class);
}

function chooseModel(key) {
  state.chosen = key;
  state.model = pick(state.models, key);
  const { picture } = state;
  if (picture?.blob) look({ ...picture });
  else draw();
}

async function watchModels() {
  clearTimeout(nextWatch);
  try {
    const { models, notes, version = "" } = await listModels();
    Object.assign(state, { models, notes, version, isOffline: false });
    state.model = pick(models, state.chosen ?? (state.model && keyOf(state.model)));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    state.isOffline = true;
  }
  draw();
  const isSettled = state.model && !state.isOffline && state.models.every((model) => model.state !== "loading");
  clearTimeout(nextWatch); // two may have run at once
  nextWatch = setTimeout(watchModels, isSettled ? POLL_MS.settled : POLL_MS.waiting);
}

element("strength").addEventListener("input", (event) => setStrength(Number(event.target.value)));
element("colours").addEventListener("change", (event) => chooseColours(event.target.value));
element("model").addEventListener("change", (event) => chooseModel(event.target.value));
element("retry").addEventListener("click", () => state.retry?.());
element("copy").addEventListener("click", copyCommand);
element("bars").addEventListener("click", (event) => {
  const bar = event.target.closest("button");
  if (bar) showEvidenceFor(bar.dataset.class);
});
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => chooseLanguage(button.dataset.language));
}
listenForFiles(lookAtFiles);
listenForKeys({
  areEnabled: remembered("keys") !== "off",
  onEnabled: (areEnabled) => remember("keys", areEnabled ? "on" : "off"),
  open: () => element("file").click(),
  step: stepSample,
  showClass: (place) => element("bars").children[place]?.firstChild.click(),
  toggleEvidence: () => setStrength(state.strength > 0 ? 0 : USUAL_STRENGTH),
  changeStrength: (by) => setStrength(state.strength + by),
  copy: () => state.shown && copyCommand(),
  nextLanguage: () => chooseLanguage(currentLanguage() === "en" ? "ko" : "en"),
});

const preferred = [remembered("language"), ...navigator.languages.map((tag) => tag.split("-")[0])];
useLanguage(preferred.find((tag) => tag in LANGUAGES) ?? "en");
watchModels();
