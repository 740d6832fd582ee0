// Draws what the evidence says in words, the buttons for closer looks, and what covering the region did.

import { element, make, setAria, setText, show } from "./dom.js";
import { labelOf, percent } from "./format.js";
import { isStillServed } from "./models.js";
import { currentLanguage, say } from "./words.js";

const LOOKS = ["check", "layers", "classes"];
const COVERED = { whole: "probability", covered: "without_region", kept: "only_region", elsewhere: "without_random" };
const MAX_OVERLAP = 0.25; // with the region; from there on, what lies elsewhere is no control

/** The server's sentence about the map on the stage, with the check where there is one. */
export function sentenceOf({ shown, checks }) {
  const { sentence } = checks.get(shown.explanation.target.class) ?? shown.explanation;
  return sentence[currentLanguage()] ?? sentence.en ?? "";
}

/** What the check means, in a few words; "" where no place was there to be covered. */
export function verdictOf({ shown, checks, answeredBy }) {
  const name = shown.explanation.target.class;
  const cover = checks.get(name)?.check?.cover;
  if (!cover) return "";
  const isAlone = cover.verdict === "lowers" && cover.random_overlap > MAX_OVERLAP;
  return say(`check.verdict.${cover.verdict}${isAlone ? ".alone" : ""}`, { class: labelOf(answeredBy, name).label });
}

/** Whether a place stands out that could be covered. */
export function canCover({ shown }) {
  return shown.explanation.regions.regions.length > 0;
}

/** @param {{shown, checks, closer, answeredBy}} state closer: which look is under way */
export function drawCloser(state) {
  const { shown, closer, answeredBy: model, checks } = state;
  if (!shown) return;
  const name = shown.explanation.target.class;
  const hasEvidence = shown.explanation.evidence !== "none";
  setText("sentence", sentenceOf(state));
  show("sentence", Boolean(sentenceOf(state)));
  show("closer", hasEvidence);
  show("ask-layers", hasEvidence && (model.layers?.length ?? 0) > 1);
  show("ask-classes", hasEvidence && (model.classes?.length ?? 0) > 1);
  for (const look of LOOKS) {
    element(`ask-${look}`).disabled = !isStillServed(state) || (look === "check" && !canCover(state));
    setAria(element(`ask-${look}`), { busy: look === closer });
  }
  setAria(element("ask-check"), { pressed: checks.has(name) });
  drawCover(checks.get(name)?.check?.cover, verdictOf(state));
}

function drawCover(cover, verdict) {
  show("cover", Boolean(cover));
  if (!cover) return;
  element("cover").dataset.verdict = cover.verdict;
  setText("cover-verdict", verdict);
  element("cover-bars").replaceChildren(
    ...Object.entries(COVERED).map(([part, field]) => {
      const fill = make("span", "fill");
      fill.style.width = `${cover[field] * 100}%`;
      const number = make("b", "number", percent(cover[field]));
      return make("li", part, make("i", "sketch"), make("span", "name", say(`check.${part}`)), number, make("span", "track", fill));
    }),
  );
}
