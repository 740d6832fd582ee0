// The server's HTTP interface as functions. Every failure is a Problem with a code that words.js explains.

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

/** GET /models: {models, notes, version}. */
export async function listModels() {
  return (await request("/models", { headers: { Accept: "application/json" } })).json();
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
export async function explain(picture, query, signal) {
  const response = await send(picture, query, "application/json", signal);
  return response.json().catch((cause) => {
    throw failure(cause, "unexpected");
  });
}

/** The picture as the server read it, as a JPEG: browsers show no TIFF, and EXIF is the manifest's business. */
export async function plainPicture(picture, model, signal) {
  const response = await send(picture, explainQuery(model, { opacity: 0 }), "image/jpeg", signal);
  return response.blob();
}

function send(picture, query, accept, signal) {
  const headers = { Accept: accept, "Content-Type": "application/octet-stream" };
  return request(`/explain?${query}`, { method: "POST", headers, body: picture.blob, signal });
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
