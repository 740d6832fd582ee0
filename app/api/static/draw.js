// Draws all of the page from what is known.

import { drawAnswer, drawProblem } from "./answer.js";
import { drawCloser } from "./closer.js";
import { asCurl } from "./command.js";
import { element, setAria, setText, show } from "./dom.js";
import { drawMarks } from "./marks.js";
import { drawModels, drawOutdated } from "./models.js";
import { shownQuery } from "./query.js";
import { drawSamples } from "./samples.js";
import { addressOf } from "./server.js";
import { drawStage } from "./stage.js";
import { state } from "./state.js";
import { say } from "./words.js";

export function draw() {
  // Faint is an answer that stands for another picture than the one that is under way.
  document.body.classList.toggle("working", state.isBusy && state.picture !== state.subject);
  drawModels(state);
  drawSamples(state);
  drawStage(state);
  drawMarks(state);
  drawAnswer(state);
  drawOutdated(state);
  drawCloser(state);
  drawCommand();
  drawProblem(state);
  drawPile(state);
  setText("spoken", state.spoken?.(state) ?? "");
  drawBusy(state);
}

/** Which of several files is looked at. */
function drawPile({ pile, picture }) {
  const at = pile.indexOf(picture?.file);
  const isShown = at >= 0 && pile.length > 1;
  show("pile", isShown);
  if (!isShown) return;
  setText("pile-place", say("pile.place", { number: at + 1, count: pile.length, name: picture.name }));
  setAria(element("pile-previous"), { disabled: at === 0 }); // really disabled, it would lose the focus
  setAria(element("pile-next"), { disabled: at === pile.length - 1 });
}

function drawBusy({ isBusy, isSlow, waitS, picture }) {
  const isUnderWay = isBusy || isSlow || waitS > 0;
  const text = waitS > 0 ? say("busy.wait", { seconds: waitS }) : say("busy.work", { name: picture?.name });
  show("busy", isUnderWay);
  setText("busy-text", isUnderWay ? text : "");
  show("stop", isSlow);
}

/** What is seen, as a command; its overlay is as the slider has it. */
export function drawCommand() {
  if (state.shown) setText("curl", asCurl(state.subject, addressOf(state.answeredBy, shownQuery())));
}

/** To wherever it is needed: a reader who scrolled would not see what came. */
export function bringIntoView(id) {
  element(id).scrollIntoView({ block: "nearest" });
}
