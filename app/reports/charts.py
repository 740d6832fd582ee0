"""Small figures of a report, as HTML and inline SVG: bars, a confusion matrix, a colour scale, marks on a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from app.domain import RegionOfInterest
from app.evaluation.metrics import Counts
from app.images.colormaps import color_table
from app.reports.html import Child, element, table

MAX_MATRIX_CLASSES = 12
"""A wider matrix fits neither a terminal nor a page of A4."""
_SCALE_STOPS = 9


@dataclass(frozen=True, slots=True)
class Bar:
    """One share, with its words."""

    label: str
    share: float
    """0..1."""
    value: str
    tone: str = "plain"
    """Class of the style sheet: plain, strong, right, wrong."""


def bars(rows: Sequence[Bar]) -> Element:
    """Horizontal bars on one scale from 0 to 1."""
    return element(
        "div",
        *(
            element(
                "div",
                element("span", row.label, class_="bar-label"),
                element(
                    "svg",
                    element("rect", width=100, height=8, class_="track"),
                    element("rect", width=round(100 * row.share, 2), height=8, class_=f"fill {row.tone}"),
                    viewBox="0 0 100 8",
                    preserveAspectRatio="none",
                    aria_hidden="true",
                ),
                element("span", row.value, class_="bar-value"),
                class_="bar",
            )
            for row in rows
        ),
        class_="bars",
    )


def confusion(counts: Counts, labels: Sequence[str], *, corner: str, caption: str) -> Element:
    """The matrix (K, K), shaded by the share of each row; right answers in another tone."""
    totals = counts.sum(axis=1)

    def cell(row: int, column: int) -> Element:
        count, total = int(counts[row, column]), int(totals[row])
        share = count / total if total else 0.0
        return element(
            "span",
            str(count) if count else "·",
            class_="cell" if count else "cell nothing",
            style=tint((46, 125, 91) if row == column else (184, 66, 46), share) if count else None,
        )

    rows: list[list[Child]] = [
        [name, *(cell(at, column) for column in range(len(labels)))] for at, name in enumerate(labels)
    ]
    return table(
        [corner, *labels], rows, numbers=range(1, len(labels) + 1), caption=caption, class_="confusion"
    )


def tint(colour: tuple[int, int, int], share: float) -> str:
    """The background of a cell: the stronger the larger its share, never so strong that dark ink cannot be read on it."""
    red, green, blue = colour
    return f"background-color: rgba({red}, {green}, {blue}, {0.08 + 0.42 * share:.2f})"


def colour_scale(low: str, high: str) -> Element:
    """The colours of a map from no evidence to the strongest, over grey and as transparent as on a picture."""
    table_ = color_table("inferno")
    stops = []
    for share in np.linspace(0.0, 1.0, _SCALE_STOPS):
        red, green, blue = (int(value) for value in table_[round(255 * share)])
        stops.append(
            element(
                "stop",
                offset=f"{share:.3f}",
                stop_color=f"rgb({red}, {green}, {blue})",
                stop_opacity=f"{0.6 * share:.3f}",
            )
        )
    return element(
        "div",
        element("span", low),
        element(
            "svg",
            element("defs", element("linearGradient", *stops, id="scale")),
            element("rect", width=160, height=10, fill="rgb(118, 118, 118)"),
            element("rect", width=160, height=10, fill="url(#scale)"),
            viewBox="0 0 160 10",
            aria_hidden="true",
        ),
        element("span", high),
        class_="scale",
    )


def marked(
    picture: Element,
    aspect: float,
    *,
    centroid: tuple[float, float] | None,
    spread: tuple[float, float] | None,
    expected: RegionOfInterest | None,
) -> Element:
    """A picture with a centroid, its spread and the expected region, all in fractions of the picture.

    Args:
        picture: the image.
        aspect: its width by its height.
        centroid: x, y.
        spread: the standard deviation, likewise.
        expected: drawn dashed.
    """
    width, height = 1000.0, 1000.0 / aspect
    marks: list[Element] = []
    for tone in ("edge", "line"):  # a light line on a dark one is seen on any picture
        if expected is not None:
            marks.append(
                element(
                    "rect",
                    x=expected.x0 * width,
                    y=expected.y0 * height,
                    width=(expected.x1 - expected.x0) * width,
                    height=(expected.y1 - expected.y0) * height,
                    class_=f"{tone} dashed",
                )
            )
        if centroid is not None:
            x, y = centroid[0] * width, centroid[1] * height
            arm = 26.0
            marks.append(
                element(
                    "path",
                    d=f"M{x - arm:.1f} {y:.1f}H{x + arm:.1f}M{x:.1f} {y - arm:.1f}V{y + arm:.1f}",
                    class_=tone,
                )
            )
            if spread is not None:
                marks.append(
                    element("ellipse", cx=x, cy=y, rx=spread[0] * width, ry=spread[1] * height, class_=tone)
                )
    return element(
        "div",
        picture,
        element("svg", *marks, viewBox=f"0 0 1000 {height:.1f}", class_="marks", aria_hidden="true"),
        class_="plate",
    )
