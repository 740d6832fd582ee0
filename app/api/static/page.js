// The page: listens to its reader and remembers the reader's habits.

import { copyCommand } from "./command.js";
import { element, sayAll, setAria } from "./dom.js";
import { draw, drawCommand } from "./draw.js";
import { listenForFiles, listenForKeys } from "./input.js";
import {
  checkByCovering, lookAgain, lookAtFiles, lookAtSample, recolour, showEvidenceFor, showSheet, stepPicture,
} from "./looking.js";
import { drawMarks, placeLabels } from "./marks.js";
import { pick } from "./models.js";
import { drawColours, drawStrength } from "./stage.js";
import { remember, remembered, state, USUAL_STRENGTH } from "./state.js";
import { watchModels } from "./watch.js";
import { stop } from "./work.js";
import { currentLanguage, LANGUAGES, say, speak } from "./words.js";

const QUIET_MS = 500;

function useLanguage(wanted) {
  document.documentElement.lang = speak(wanted);
  document.title = say("page.title");
  sayAll();
  for (const button of document.querySelectorAll("[data-language]")) {
    setAria(button, { pressed: button.dataset.language === currentLanguage() });
  }
  setAria(element("samples"), { label: say("choose.samples") });
  drawColours(state.colours);
  setAria(element("spoken"), { live: "off" }); // it was heard already, in the other language
  draw();
  setTimeout(() => setAria(element("spoken"), { live: "polite" }), QUIET_MS);
}

function chooseLanguage(wanted) {
  remember("language", wanted);
  useLanguage(wanted);
}

function setStrength(strength) {
  state.strength = Math.min(100, Math.max(0, strength));
  remember("strength", state.strength);
  drawStrength(state.strength);
  drawCommand();
}

function toggleMarks() {
  state.hasMarks = !state.hasMarks;
  remember("marks", state.hasMarks ? "on" : "off");
  drawMarks(state);
}

function chooseColours(colours) {
  state.colours = colours;
  remember("colours", colours);
  recolour();
}

function chooseModel(key) {
  state.chosen = key;
  state.model = pick(state.models, key);
  lookAgain();
}

/** A button that goes away when it is pressed would take the focus with it. */
function leaveTo(id, action) {
  element(id).focus({ preventScroll: true });
  action();
}

/** Whichever button inside is pressed. */
function whenPressed(id, action) {
  element(id).addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) action(button);
  });
}

element("strength").addEventListener("input", (event) => setStrength(Number(event.target.value)));
element("colours").addEventListener("change", (event) => chooseColours(event.target.value));
element("model").addEventListener("change", (event) => chooseModel(event.target.value));
whenPressed("retry", () => leaveTo("answer", () => state.retry?.()));
whenPressed("stop", () => leaveTo("answer", () => (stop(), recolour())));
whenPressed("look-again", () => leaveTo("answer", lookAgain));
whenPressed("copy", copyCommand);
whenPressed("marks-toggle", toggleMarks);
whenPressed("pile-previous", () => stepPicture(-1));
whenPressed("pile-next", () => stepPicture(1));
whenPressed("ask-check", checkByCovering);
whenPressed("ask-layers", () => showSheet("layers"));
whenPressed("ask-classes", () => showSheet("classes"));
whenPressed("bars", (button) => showEvidenceFor(button.dataset.class));
whenPressed("samples", (button) => lookAtSample(button.dataset.address));
whenPressed("languages", (button) => chooseLanguage(button.dataset.language));
new ResizeObserver(placeLabels).observe(element("marks"));
listenForFiles(lookAtFiles);
listenForKeys({
  areEnabled: remembered("keys") !== "off",
  onEnabled: (areEnabled) => remember("keys", areEnabled ? "on" : "off"),
  open: () => element("file").click(),
  step: stepPicture,
  showClass: (place) => element("bars").children[place]?.firstChild.click(),
  toggleEvidence: () => setStrength(state.strength > 0 ? 0 : USUAL_STRENGTH),
  toggleMarks,
  check: checkByCovering,
  showLayers: () => showSheet("layers"),
  showClasses: () => showSheet("classes"),
  changeStrength: (by) => setStrength(state.strength + by),
  copy: () => state.shown && copyCommand(),
  nextLanguage: () => chooseLanguage(currentLanguage() === "en" ? "ko" : "en"),
});

const preferred = [remembered("language"), ...navigator.languages.map((tag) => tag.split("-")[0])];
for (const node of document.querySelectorAll("[data-scripted]")) node.hidden = false; // now they do something
useLanguage(preferred.find((tag) => tag in LANGUAGES) ?? "en");
watchModels();
