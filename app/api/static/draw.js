// Draws all of the page from what is known.

import { drawAnswer, drawProblem } from "./answer.js";
import { drawCloser } from "./closer.js";
import { asCurl } from "./command.js";
import { element, setText, show } from "./dom.js";
import { drawMarks } from "./marks.js";
import { drawModels } from "./models.js";
import { shownQuery } from "./query.js";
import { drawSamples } from "./samples.js";
import { addressOf } from "./server.js";
import { drawStage } from "./stage.js";
import { state } from "./state.js";
import { say } from "./words.js";

export function draw() {
  document.body.classList.toggle("working", state.isBusy);
  drawModels(state);
  drawSamples(state);
  drawStage(state);
  drawMarks(state);
  drawAnswer(state);
  drawCloser(state);
  drawCommand();
  drawProblem(state);
  show("several", Boolean(state.several));
  setText("several", state.several ? say("choose.several", { name: state.several }) : "");
  show("busy", state.isBusy);
  setText("busy", state.isBusy ? say("choose.busy", { name: state.picture.name }) : "");
}

/** What is seen, as a command; its overlay is as the slider has it. */
export function drawCommand() {
  if (state.shown) setText("curl", asCurl(state.picture, addressOf(state.model, shownQuery())));
}

/** To wherever it is needed: a reader who scrolled would not see what came. */
export function bringIntoView(id) {
  element(id).scrollIntoView({ block: "nearest" });
}
