// One piece of work at a time: what is begun next gives up what was under way. What takes long can be stopped by
// hand, and a server that is busy and says until when is asked once more by itself.

import { bringIntoView, draw } from "./draw.js";
import { Problem } from "./server.js";
import { state } from "./state.js";
import { watchModels } from "./watch.js";

const SLOW_MS = 3000;
const LONGEST_WAIT_S = 10; // beyond it, the reader decides whether to ask again

let work = new AbortController();

export function begin(changes) {
  work.abort();
  work = new AbortController();
  const nothing = {
    problem: null, retry: null, wanted: null, closer: null, isBusy: false, isSlow: false, waitS: 0,
  };
  Object.assign(state, nothing, changes);
  draw();
  return work;
}

/** Give up what is under way; the answer on the page stays, beside its own picture. */
export function stop() {
  begin({ picture: state.subject });
}

/** Do it, and draw what came of it. @returns whether it was done */
export async function attempt(signal, again, action, onFailure = () => {}) {
  const slow = setTimeout(() => signal.aborted || noticeSlowness(), SLOW_MS);
  try {
    await patiently(signal, action);
    return !signal.aborted;
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return false;
    if (!(error instanceof Problem)) throw error;
    onFailure();
    error.about = state.picture?.name ?? "";
    Object.assign(state, { problem: error, retry: again });
    if (error.isPassing || error.code === "unknown_model") watchModels(); // what is told of the server is out of date
    return false;
  } finally {
    clearTimeout(slow);
    if (!signal.aborted) {
      Object.assign(state, { wanted: null, closer: null, isBusy: false, isSlow: false, waitS: 0 });
      draw();
      if (state.problem) bringIntoView("problem");
    }
  }
}

/** Nothing may have arrived because nobody is there any more. */
function noticeSlowness() {
  state.isSlow = true;
  draw();
  watchModels();
}

async function patiently(signal, action) {
  try {
    await action();
  } catch (error) {
    const { retryAfterS: waitS = 0 } = error;
    if (signal.aborted || waitS === 0 || waitS > LONGEST_WAIT_S) throw error;
    state.waitS = waitS;
    draw();
    await pause(waitS * 1000, signal);
    state.waitS = 0;
    draw();
    await action();
  }
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, ms);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}
