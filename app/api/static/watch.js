// Asks again and again which models can answer.

import { draw } from "./draw.js";
import { keyOf, pick } from "./models.js";
import { listModels, Problem } from "./server.js";
import { state } from "./state.js";

const POLL_MS = { waiting: 1000, settled: 30_000 };

let nextWatch = 0;

export async function watchModels() {
  clearTimeout(nextWatch);
  try {
    const { models, notes = [], version = "" } = await listModels();
    Object.assign(state, { models, notes, version, outage: null });
    state.model = pick(models, state.chosen ?? (state.model && keyOf(state.model)));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    state.outage = error;
  } finally {
    // Before anything is drawn: whatever fails there, the page must find out when it is over.
    const isSettled = state.model && !state.outage && state.models.every((model) => model.state !== "loading");
    clearTimeout(nextWatch); // two may have run at once
    nextWatch = setTimeout(watchModels, isSettled ? POLL_MS.settled : POLL_MS.waiting);
  }
  draw();
}
