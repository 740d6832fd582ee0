// What is asked about a picture: its class, the evidence for another, closer looks.

import { canCover } from "./closer.js";
import { bringIntoView, draw } from "./draw.js";
import { element } from "./dom.js";
import { fileName } from "./format.js";
import { canShow } from "./local.js";
import { isStillServed, keyOf } from "./models.js";
import { mapQuery, sheetQuery } from "./query.js";
import { explain, fetchSample, plainPicture, Problem } from "./server.js";
import { closeSheet, openSheet } from "./sheet.js";
import { spokenAnswer, spokenCheck, spokenEvidence } from "./spoken.js";
import { forget, shownClass, state } from "./state.js";
import { watchModels } from "./watch.js";
import { attempt, begin } from "./work.js";

const MOST_KEPT_BYTES = 2 ** 28; // a larger file is left where it is: the server refuses it by its length

/** Classify one picture. */
async function look(picture, load = async () => picture.blob) {
  closeSheet();
  const { signal } = begin({ picture, isBusy: true });
  const isDone = await attempt(signal, () => look(picture, load), async () => {
    picture.blob ??= await load(signal);
    check(picture);
    const model = state.model;
    const answer = await fetchMap(picture, model, mapQuery(model), signal);
    const answeredBy = await describedAnew(model, answer);
    if (signal.aborted) return;
    forget();
    const replies = new Map([[answer.class, answer]]);
    const answeredAt = new Date();
    Object.assign(state, { answer, answeredAt, answeredBy, subject: picture, shown: answer, spoken: spokenAnswer, replies });
    // The answer stands also where the picture beneath the map cannot be had.
    await attempt(signal, () => showEvidenceFor(shownClass()), () => fetchPlain(signal));
  }, forget);
  if (isDone) recolour();
}

export function lookAtFiles(files) {
  if (files.length === 0) {
    Object.assign(state, { problem: new Problem("not_a_file"), retry: null });
    draw();
    return bringIntoView("problem");
  }
  state.pile = files;
  lookAtFile(files[0]);
}

function lookAtFile(file) {
  look({ name: file.name || "picture", file }, () => keep(file));
}

export function lookAtSample(address) {
  look({ name: fileName(address), address }, (signal) => fetchSample(address, signal));
}

/** The next of the files that came together, up to the last; else the next sample. */
export function stepPicture(step) {
  const place = state.pile.indexOf(state.picture?.file);
  if (place < 0 || state.pile.length < 2) return stepSample(step);
  const file = state.pile[place + step];
  if (file) lookAtFile(file);
}

function stepSample(step) {
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
    const isKnown = known?.colours === state.colours;
    const reply = isKnown ? known : await fetchMore(mapQuery(state.answeredBy, { target: className }), signal);
    if (signal.aborted || !reply) return;
    state.replies.set(className, reply);
    Object.assign(state, { shown: reply, spoken: spokenEvidence });
    if (!state.plain) await fetchPlain(signal);
  });
}

/** Draw the map anew where the reader chose other colours than it has. */
export function recolour() {
  if (!state.shown || state.shown.colours === state.colours) return;
  const className = state.wanted ?? shownClass();
  state.wanted = null; // what is under way has the other colours
  showEvidenceFor(className);
}

/** Ask whether the network needs the strongest region; asked again, put the check away. */
export async function checkByCovering() {
  if (!canAsk() || !canCover(state) || state.closer === "check") return;
  const target = shownClass();
  const isShown = state.checks.delete(target);
  const { signal } = begin({ closer: isShown ? null : "check" });
  if (isShown) return;
  await attempt(signal, checkByCovering, async () => {
    const reply = await fetchMore(mapQuery(state.answeredBy, { target, check: "cover" }), signal);
    if (signal.aborted || !reply) return;
    state.checks.set(target, reply.explanation);
    state.spoken = spokenCheck;
    draw();
    bringIntoView("cover");
  });
}

/** Several maps side by side. @param kind "layers" or "classes" */
export async function showSheet(kind) {
  if (!canAsk() || element(`ask-${kind}`).hidden || state.closer === kind) return;
  const { signal } = begin({ closer: kind });
  await attempt(signal, () => showSheet(kind), async () => {
    const reply = await fetchMore(sheetQuery(kind), signal);
    if (!signal.aborted && reply) openSheet(kind, reply, state.answeredBy, state.subject.name);
  });
}

/**
 * While a picture is under way, the answer on the page is still another's; and no model is asked about the answer
 * of another.
 */
function canAsk() {
  return Boolean(state.answer) && !state.isBusy && isStillServed(state);
}

/** A reply, with the colours of its map. */
async function fetchMap(picture, model, query, signal) {
  const { colours } = state; // before the reader changes them
  return { ...(await explain(picture, model, query, signal)), colours };
}

/** The reply to a further question about the answer; null where another model than the answer's would give it. */
async function fetchMore(query, signal) {
  const reply = await fetchMap(state.subject, state.answeredBy, query, signal);
  if (reply.model.digest === state.answer.model.digest) return reply;
  await watchModels(); // then the page knows, and says so
  return null;
}

/** The model as it is now, if it was replaced since the page last heard of it. */
async function describedAnew(model, answer) {
  if (answer.model.digest === model.digest) return model;
  await watchModels();
  return state.models.find((one) => keyOf(one) === keyOf(model)) ?? model;
}

/** The bytes as they are now: a camera may write its next picture over this one, and browsers then read neither. */
async function keep(file) {
  if (file.size > MOST_KEPT_BYTES) return file;
  const bytes = await file.arrayBuffer().catch(({ message }) => {
    throw new Problem("unreadable_file", { detail: message });
  });
  return new Blob([bytes]);
}

/** What the map is laid over; a browser may be unable to show it. */
async function fetchPlain(signal) {
  const plain = URL.createObjectURL(await plainPicture(state.subject, state.answeredBy, signal));
  if ((await canShow(plain)) && !signal.aborted) state.plain = plain;
  else URL.revokeObjectURL(plain);
}

function check({ blob }) {
  if (!state.model) throw new Problem("not_ready");
  if (blob.size === 0) throw new Problem("empty_file");
}
