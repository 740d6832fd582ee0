// What is asked about a picture: its class, the evidence for another, closer looks. One thing at a time: what is
// asked for next gives up what was under way.

import { canCover } from "./closer.js";
import { bringIntoView, draw } from "./draw.js";
import { element, setText } from "./dom.js";
import { fileName } from "./format.js";
import { mapQuery, sheetQuery } from "./query.js";
import { explain, fetchSample, plainPicture, Problem } from "./server.js";
import { closeSheet, openSheet } from "./sheet.js";
import { spokenAnswer, spokenCheck, spokenEvidence } from "./spoken.js";
import { forget, shownClass, state } from "./state.js";
import { watchModels } from "./watch.js";

let work = new AbortController();

/** Classify one picture. */
async function look(picture, load = async () => picture.blob) {
  closeSheet();
  const { signal } = begin({ picture, isBusy: true });
  await attempt(signal, () => look(picture, load), async () => {
    picture.blob = await load(signal);
    check(picture);
    const answer = await explain(picture, state.model, mapQuery(), signal);
    const plain = URL.createObjectURL(await plainPicture(picture, state.model, signal));
    if (signal.aborted) return URL.revokeObjectURL(plain);
    forget();
    Object.assign(state, { plain, answer, shown: answer, replies: new Map([[answer.class, answer]]) });
    setText("spoken", spokenAnswer(state));
  }, forget);
}

export function lookAtFiles(files) {
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

export function lookAtSample(address) {
  look({ name: fileName(address), address }, (signal) => fetchSample(address, signal));
}

export function stepSample(step) {
  const samples = state.model?.golden_images ?? [];
  const at = samples.indexOf(state.picture?.address);
  const next = at < 0 ? (step > 0 ? 0 : samples.length - 1) : (at + step + samples.length) % samples.length;
  if (samples.length) lookAtSample(samples[next]);
}

/** The same picture, after the model changed. */
export function lookAgain() {
  if (state.picture?.blob) look({ ...state.picture });
  else draw();
}

/** Show the evidence for one class of the picture at hand. */
export async function showEvidenceFor(className) {
  if (!canAsk() || state.wanted === className) return;
  const known = state.replies.get(className);
  const { signal } = begin({ wanted: className });
  await attempt(signal, () => showEvidenceFor(className), async () => {
    const query = mapQuery({ target: className });
    const reply = known ?? (await explain(state.picture, state.model, query, signal));
    if (signal.aborted) return;
    state.replies.set(className, reply);
    state.shown = reply;
    setText("spoken", spokenEvidence(state));
  });
}

/** Ask whether the network needs the strongest region; asked again, put the check away. */
export async function checkByCovering() {
  if (!canAsk() || !canCover(state) || state.closer === "check") return;
  const target = shownClass();
  const isShown = state.checks.delete(target);
  const { signal } = begin({ closer: isShown ? null : "check" });
  if (isShown) return;
  await attempt(signal, checkByCovering, async () => {
    const reply = await explain(state.picture, state.model, mapQuery({ target, check: "cover" }), signal);
    if (signal.aborted) return;
    state.checks.set(target, reply.explanation);
    draw();
    bringIntoView("cover");
    setText("spoken", spokenCheck(state));
  });
}

/** Several maps side by side. @param kind "layers" or "classes" */
export async function showSheet(kind) {
  if (!canAsk() || element(`ask-${kind}`).hidden || state.closer === kind) return;
  const { signal } = begin({ closer: kind });
  await attempt(signal, () => showSheet(kind), async () => {
    const reply = await explain(state.picture, state.model, sheetQuery(kind), signal);
    if (!signal.aborted) openSheet(kind, reply, state.model);
  });
}

/** While a picture is under way, the answer on the page is still another's. */
function canAsk() {
  return Boolean(state.answer) && !state.isBusy;
}

function begin(changes) {
  work.abort();
  work = new AbortController();
  const nothing = { problem: null, retry: null, several: null, wanted: null, closer: null, isBusy: false };
  Object.assign(state, nothing, changes);
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
      Object.assign(state, { isBusy: false, wanted: null, closer: null });
      draw();
      if (state.problem) bringIntoView("problem");
    }
  }
}

function check({ blob }) {
  if (!state.model) throw new Problem("not_ready");
  if (blob.size === 0) throw new Problem("empty_file");
}
