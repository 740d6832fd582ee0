// The server's HTTP interface as functions. Every failure is a Problem with a code that words.js explains.

const JSON_TYPE = "application/json";

export class Problem extends Error {
  constructor(code, { detail = "", id = "" } = {}) {
    super(detail || code);
    this.code = code;
    this.detail = detail;
    this.id = id;
  }

  /** Whether the same request may succeed later. */
  get isPassing() {
    return ["network", "queue_full", "not_ready", "shutting_down", "deadline_exceeded"].includes(this.code);
  }
}

let longestMs = 0; // that a request may ask for, as the server said

/** GET /models: {models, notes, version, max_deadline_ms}. */
export async function listModels() {
  const listed = await (await request("/models", { headers: { Accept: JSON_TYPE } })).json();
  longestMs = listed.max_deadline_ms;
  return listed;
}

/** For what a person waits for: the first question about layers loads what it needs, which takes seconds. */
export function patience() {
  return longestMs ? { deadline_ms: Math.min(30_000, longestMs) } : {};
}

/** The bytes of a golden image. */
export async function fetchSample(address, signal) {
  return (await request(address, { signal })).blob();
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
  const reply = await response.json().catch((cause) => {
    throw failure(cause, "unexpected");
  });
  return canExplain(model) ? reply : { ...reply, explanation: withoutEvidence(reply) };
}

/** The picture as the server read it, as a JPEG: browsers show no TIFF, and EXIF is the manifest's business. */
export async function plainPicture(picture, model, signal) {
  if (!canExplain(model)) return picture.blob;
  const address = addressOf(model, explainQuery(model, { opacity: 0 }));
  const response = await send(picture, address, "image/jpeg", signal);
  return response.blob();
}

/** For an <img>. */
export function dataAddress({ media_type, data }) {
  return `data:${media_type};base64,${data}`;
}

/** Where to ask; a network without evidence still has an answer. */
export function addressOf(model, query) {
  if (canExplain(model)) return `/explain?${query}`;
  const kept = [...query].filter(([name]) => ["model", "version", "top_k"].includes(name));
  return `/predict?${new URLSearchParams(kept)}`;
}

const canExplain = (model) => model.evidence !== "none";

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
  return request(address, { method: "POST", headers, body: picture.blob, signal });
}

async function request(address, options) {
  let response;
  try {
    response = await fetch(address, { cache: "no-store", ...options });
  } catch (cause) {
    throw failure(cause, "network");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const status = `HTTP ${response.status}`;
  const id = response.headers.get("X-Request-Id") ?? "";
  try {
    const body = await response.json();
    return new Problem(body.code ?? "unexpected", { detail: body.detail ?? status, id: body.id ?? id });
  } catch {
    return new Problem("unexpected", { detail: status, id });
  }
}

/** A request that we gave up ourselves stays an AbortError. */
function failure(cause, code) {
  return cause.name === "AbortError" ? cause : new Problem(code, { detail: cause.message });
}
