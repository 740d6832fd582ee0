// The server's HTTP interface as functions. Every failure is a Problem with a code that words.js explains.
// Addresses are relative to the page's own, so that it also works behind a proxy that puts it under a path.

import { isBareJpeg } from "./local.js";

const JSON_TYPE = "application/json";
const POLL_PATIENCE_MS = 5000;
const SLACK_MS = 5000; // beyond a deadline, for the way there and back
const PATIENCE_MS = 30_000; // a person waits, and can stop it: the server's own deadline is that of a line

export class Problem extends Error {
  constructor(code, { detail = "", id = "", retryAfterS = 0 } = {}) {
    super(detail || code);
    this.code = code;
    this.detail = detail;
    this.id = id;
    this.retryAfterS = retryAfterS; // when the server wants to be asked again; 0: it did not say
    this.about = ""; // name of the picture
  }

  /** Whether the same request may succeed later. */
  get isPassing() {
    return ["network", "queue_full", "not_ready", "shutting_down", "deadline_exceeded"].includes(this.code);
  }
}

let longestMs = 60_000; // that a request may ask for, until the server says

/** GET /models: {models, notes, version, max_deadline_ms}. */
export async function listModels() {
  const response = await request("models", { headers: { Accept: JSON_TYPE } }, POLL_PATIENCE_MS);
  const listed = await read(response.json());
  if (!Array.isArray(listed?.models)) throw new Problem("unexpected", { detail: "no list of models" });
  longestMs = listed.max_deadline_ms ?? longestMs;
  return { ...listed, models: listed.models.map(withRelativeSamples) };
}

/** The bytes of a golden image. */
export async function fetchSample(address, signal) {
  return read((await request(address, { signal })).blob());
}

/** The query of POST /explain for one model and one way to look at it. */
export function explainQuery(model, { target, ...more }) {
  const query = new URLSearchParams({ model: model.name, version: model.version, ...more });
  if (target) query.set("target", target);
  return query;
}

/** POST /explain: class, probabilities, map and overlay as JSON. */
export async function explain(picture, model, query, signal) {
  const response = await send(picture, addressOf(model, query), JSON_TYPE, signal);
  const reply = await read(response.json());
  return canExplain(model) ? reply : { ...reply, explanation: withoutEvidence(reply) };
}

/** The picture as the server read it, as a JPEG: browsers show no TIFF, and EXIF is the manifest's business. */
export async function plainPicture(picture, model, signal) {
  if (!canExplain(model) || (await read(isBareJpeg(picture.blob)))) return picture.blob;
  const address = addressOf(model, explainQuery(model, { opacity: 0 }));
  return read((await send(picture, address, "image/jpeg", signal)).blob());
}

/** For an <img>. */
export function dataAddress({ media_type, data }) {
  return `data:${media_type};base64,${data}`;
}

/** Where to ask; a network without evidence still has an answer. */
export function addressOf(model, query) {
  if (canExplain(model)) return `explain?${query}`;
  const kept = [...query].filter(([name]) => ["model", "version", "top_k"].includes(name));
  return `predict?${new URLSearchParams(kept)}`;
}

const canExplain = (model) => model.evidence !== "none";

/** What the server calls /models/… is under the page's own address. */
function withRelativeSamples(model) {
  return { ...model, golden_images: model.golden_images?.map((address) => address.replace(/^\//, "")) };
}

function withoutEvidence({ image, top_k: [best] }) {
  return {
    evidence: "none",
    exact: false,
    layer: "",
    target: best,
    grid: { shape: [0, 0], values: [], bias: null, positive_fraction: 0, status: "no_positive_evidence" },
    geometry: { field_of_view: [0, 0, image.width, image.height] },
    regions: { regions: [], region_of_interest: null, share_inside: null },
    sentence: {},
  };
}

function send(picture, address, accept, signal) {
  const headers = { Accept: accept, "Content-Type": "application/octet-stream" };
  const inTime = `${address}&deadline_ms=${Math.min(PATIENCE_MS, longestMs)}`;
  return request(inTime, { method: "POST", headers, body: picture.blob, signal });
}

async function request(address, { signal, ...options }, limitMs = longestMs + SLACK_MS) {
  const limited = withLimit(signal, limitMs);
  const response = await read(fetch(address, { cache: "no-store", ...options, signal: limited }));
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** Aborted with the caller's signal, and by itself after a time: Firefox 115 has no AbortSignal.any. */
function withLimit(signal, limitMs) {
  const work = new AbortController();
  const late = new DOMException(`no answer in ${limitMs / 1000} s`, "TimeoutError");
  setTimeout(() => work.abort(late), limitMs);
  if (signal?.aborted) work.abort(signal.reason);
  signal?.addEventListener("abort", () => work.abort(signal.reason));
  return work.signal;
}

async function problemOf(response) {
  const status = `HTTP ${response.status}`;
  const id = response.headers.get("X-Request-Id") ?? "";
  const retryAfterS = (response.status === 503 && Number(response.headers.get("Retry-After"))) || 0;
  try {
    const body = await response.json();
    return new Problem(body.code ?? "unexpected", { detail: body.detail ?? status, id: body.id ?? id, retryAfterS });
  } catch {
    return new Problem("unexpected", { detail: status, id, retryAfterS });
  }
}

/** What arrives, or the Problem that kept it; a request that we gave up ourselves stays an AbortError. */
async function read(arriving) {
  try {
    return await arriving;
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new Problem(cause instanceof SyntaxError ? "unexpected" : "network", { detail: cause.message });
  }
}
