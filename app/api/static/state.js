// What the page knows and how its reader likes it. Nothing outlives this tab but the reader's habits.

import { COLOURS } from "./stage.js";

export const USUAL_STRENGTH = 60;

export const state = {
  models: null, // null before the first reply
  notes: [],
  version: "", // of the server
  outage: null, // the Problem of the last look at the models
  chosen: null, // "name/version", once the reader chose
  model: null, // the one that would answer now
  picture: null, // {name, blob, address? of a sample, file? of the pile}: what is being looked at
  answer: null, // reply for the predicted class; a reply also has the colours that its map is drawn in
  answeredAt: null, // Date
  answeredBy: null, // the model that gave the answer, as it was described then
  subject: null, // the picture that the answer is about
  plain: null, // object address of that picture without a map, where it could be had
  shown: null, // reply whose evidence is on the stage
  spoken: null, // what is said of it to those who listen: a function of this state
  wanted: null, // class whose evidence was asked for
  closer: null, // "check", "layers" or "classes": which closer look was asked for
  replies: new Map(), // class name -> reply, for this picture
  checks: new Map(), // class name -> explanation with its check, for this picture
  problem: null,
  retry: null,
  pile: [], // the files that came together
  isBusy: false,
  isSlow: false, // whatever is under way takes long enough to be stopped by hand
  waitS: 0, // until the server, which was busy, is asked again
  strength: Number(remembered("strength") ?? USUAL_STRENGTH),
  colours: remembered("colours") in COLOURS ? remembered("colours") : "inferno",
  hasMarks: remembered("marks") !== "off",
};

/** The class whose evidence is on the stage. */
export function shownClass() {
  return state.shown.explanation.target.class;
}

/** No answer may stand beside a picture that it does not belong to. */
export function forget() {
  if (state.plain) URL.revokeObjectURL(state.plain);
  Object.assign(state, {
    answer: null, answeredAt: null, answeredBy: null, subject: null, plain: null, shown: null, spoken: null,
    replies: new Map(), checks: new Map(),
  });
}

export function remembered(name) {
  try {
    return localStorage.getItem(`lineside.${name}`);
  } catch {
    return null; // storage may be forbidden
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`lineside.${name}`, value);
  } catch {
    // Then it is forgotten with the tab.
  }
}
