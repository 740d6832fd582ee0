// Draws boxes above the picture, in its own pixels: an SVG that is laid over it and scales with it.

import { element, setAria } from "./dom.js";
import { share } from "./format.js";
import { say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const TEXT_PX = { wide: 17, narrow: 13 }; // on the screen, whatever the picture's size
const NARROW_PX = 600;
const LINE_EM = 1.5; // height of a label, with the gap to its box

/** @param {{shown, hasMarks}} state the boxes of the map on the stage, and whether the reader wants them */
export function drawMarks({ shown, hasMarks }) {
  const marks = element("marks");
  setAria(element("marks-toggle"), { pressed: hasMarks });
  marks.replaceChildren();
  marks.toggleAttribute("hidden", !shown || !hasMarks);
  if (!shown || !hasMarks) return;
  const { width, height } = shown.image;
  const { regions, region_of_interest: expected } = shown.explanation.regions;
  marks.setAttribute("viewBox", `0 0 ${width} ${height}`);
  if (expected) {
    const [x0, y0, x1, y1] = expected;
    marks.append(mark("expected", [x0 * width, y0 * height, x1 * width, y1 * height], say("evidence.expected")));
  }
  for (const { box, share_of_positive } of [...regions].reverse()) { // the strongest above the others
    if (box) marks.append(mark("region", box, share(share_of_positive)));
  }
  placeLabels();
}

/** Keep the labels' size on the screen, and inside the picture. */
export function placeLabels() {
  const marks = element("marks");
  const { width, height } = marks.viewBox.baseVal ?? {};
  const { clientWidth, clientHeight } = marks;
  if (!width || !clientWidth || !clientHeight) return;
  const textPx = clientWidth < NARROW_PX ? TEXT_PX.narrow : TEXT_PX.wide;
  const em = textPx / Math.min(clientWidth / width, clientHeight / height);
  marks.style.fontSize = `${em}px`;
  for (const group of marks.children) {
    const box = group.firstChild;
    const [x, y, w, h] = ["x", "y", "width", "height"].map((name) => Number(box.getAttribute(name)));
    const label = group.lastChild;
    const isLeft = x + w / 2 < width / 2;
    label.setAttribute("x", isLeft ? x : x + w);
    label.setAttribute("text-anchor", isLeft ? "start" : "end");
    label.setAttribute("y", baseline(group.classList.contains("expected"), y, y + h, height, em));
  }
}

/** Regions are named above, what is expected below; where the picture ends, inside. */
function baseline(isBelow, top, bottom, height, em) {
  if (isBelow) return bottom + LINE_EM * em < height ? bottom + 1.1 * em : bottom - 0.4 * em;
  return top > LINE_EM * em ? top - 0.4 * em : top + 1.1 * em;
}

function mark(kind, [x0, y0, x1, y1], text) {
  const group = document.createElementNS(SVG, "g");
  group.setAttribute("class", kind);
  for (const line of ["halo", "line"]) {
    const rect = document.createElementNS(SVG, "rect");
    const place = { class: line, x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
    for (const [name, value] of Object.entries(place)) rect.setAttribute(name, value);
    group.append(rect);
  }
  const label = document.createElementNS(SVG, "text");
  label.textContent = text;
  group.append(label);
  return group;
}
