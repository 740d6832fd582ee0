"""The charts of an evaluation, as inline SVG: reliability, intervals, curves.

numbers -> elements; no script, no library, legible in print

Small enough to draw by hand: a plotting library would be 30 MB in the container for four kinds of marks.
"""

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

from app.evaluation.calibration import ReliabilityBin
from app.explain.sentence import Language
from app.reports.charts import tint
from app.reports.html import Child, element
from app.reports.numbers import between, percent

BLUE: Final = "#28608f"
ORANGE: Final = "#c8622d"
LINE: Final = "#d5dae0"
SOFT: Final = "#59626d"


def reliability_diagram(
    bins: Sequence[ReliabilityBin],
    language: Language,
    *,
    description: str,
    across: str,
    up: str,
    side: int = 220,
) -> Element:
    """Accuracy over confidence: a bar for each bin that has pictures, a mark where its mean confidence is.

    Below stand the pictures of each bin, as shares of the fullest.
    """
    left, top, foot = 34, 8, 34
    most = max((each.count for each in bins), default=1) or 1
    marks: list[Child] = [_line(left, top + side, left + side, top, stroke=SOFT, stroke_dasharray="3 3")]
    for each in bins:
        if not each.count:
            continue
        x, width = left + each.lower * side, (each.upper - each.lower) * side
        height = each.accuracy * side
        marks.append(
            element(
                "rect",
                element("title", _bin(each, language)),
                x=x + 0.5,
                y=top + side - height,
                width=width - 1,
                height=height,
                fill=BLUE,
                fill_opacity=0.85,
            )
        )
        # The gap between what was promised and what was kept.
        promised = top + side - each.confidence * side
        marks.append(_line(x + 0.5, promised, x + width - 0.5, promised, stroke=ORANGE, stroke_width=2.5))
        tall = foot * 0.5 * each.count / most
        marks.append(
            element(
                "rect",
                x=x + 0.5,
                y=top + side + 18 + foot * 0.5 - tall,
                width=width - 1,
                height=tall,
                fill=SOFT,
                fill_opacity=0.5,
            )
        )
    ticks = [mark for share in (0.0, 0.5, 1.0) for mark in _ticks(share, left, top, side)]
    bottom = top + side + 18 + foot * 0.5
    return element(
        "svg",
        element("title", description),
        element("rect", x=left, y=top, width=side, height=side, fill="none", stroke=LINE),
        *ticks,
        *marks,
        _text(left + side / 2, bottom + 14, across, anchor="middle"),
        _text(10, top + side / 2, up, anchor="middle", transform=f"rotate(-90 10 {top + side / 2:g})"),
        viewBox=f"0 0 {left + side + 10} {bottom + 20:g}",
        width=left + side + 10,
        role="img",
    )


def interval_bar(low: float, value: float, high: float, language: Language, *, width: int = 150) -> Element:
    """A share in 0..1 and its interval, on a line from 0 to 1."""
    inner = width - 8

    def at(share: float) -> float:
        return 4 + share * inner

    return element(
        "svg",
        _line(4, 9, width - 4, 9, stroke=LINE),
        _line(at(low), 9, at(high), 9, stroke=BLUE, stroke_width=4, stroke_opacity=0.4),
        element("circle", cx=at(value), cy=9, r=4, fill=BLUE),
        viewBox=f"0 0 {width} 18",
        width=width,
        height=18,
        role="img",
        aria_label=f"{percent(value, language)} ({between(percent(low, language), percent(high, language), language)})",
    )


def _bin(each: ReliabilityBin, language: Language) -> str:
    place = between(percent(each.lower, language), percent(each.upper, language), language)
    return f"{place}: {percent(each.accuracy, language)} ({each.count})"


def curves(
    numbers: Sequence[int],
    series: Sequence[tuple[str, str, Sequence[float]]],
    *,
    title: str,
    top_value: float | None = None,
    width: int = 440,
    height: int = 190,
) -> Element:
    """Lines over epochs.

    Args:
        numbers: of the epochs.
        series: name, colour and a value for each epoch, 0 or more.
        title: above them.
        top_value: of the axis; None: the largest value.
        width: of all, in pixels.
        height: of all, in pixels.
    """
    left, top, right, foot = 44, 26, 12, 26
    most = top_value or max((value for _, _, values in series for value in values), default=1.0) or 1.0
    wide, tall = width - left - right, height - top - foot
    first, last = numbers[0], numbers[-1]

    def x(number: int) -> float:
        return left + wide * (0.5 if first == last else (number - first) / (last - first))

    def y(value: float) -> float:
        return top + tall * (1 - min(value / most, 1.0))

    marks: list[Child] = []
    for share in (0.0, 0.5, 1.0):
        marks.append(_line(left, y(share * most), width - right, y(share * most), stroke=LINE))
        marks.append(_text(left - 6, y(share * most) + 4, f"{share * most:.3g}", anchor="end"))
    for place, (name, colour, values) in enumerate(series):
        points = [(x(number), y(value)) for number, value in zip(numbers, values, strict=True)]
        if len(points) == 1:
            marks.append(element("circle", cx=points[0][0], cy=points[0][1], r=3, fill=colour))
        marks.append(
            element(
                "polyline",
                points=" ".join(f"{a:.1f},{b:.1f}" for a, b in points),
                fill="none",
                stroke=colour,
                stroke_width=2,
            )
        )
        at = left + place * 150
        marks.append(_line(at, 11, at + 16, 11, stroke=colour, stroke_width=2))
        marks.append(_text(at + 21, 15, name))
    marks += [
        _text(x(number), height - 8, str(number), anchor="middle") for number in dict.fromkeys((first, last))
    ]
    return element(
        "svg",
        element("title", title),
        *marks,
        _text(left + wide / 2, height - 8, title, anchor="middle"),
        viewBox=f"0 0 {width} {height}",
        width=width,
        role="img",
    )


def shade(share: float, *, is_right: bool) -> str:
    """The background of a cell of the confusion matrix."""
    return tint((40, 96, 143) if is_right else (200, 98, 45), share)


def _ticks(share: float, left: float, top: float, side: float) -> tuple[Element, Element]:
    return (
        _text(left + share * side, top + side + 13, f"{share:g}", anchor="middle"),
        _text(left - 5, top + side - share * side + 4, f"{share:g}", anchor="end"),
    )


def _line(x1: float, y1: float, x2: float, y2: float, **style: str | float) -> Element:
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), **style)


def _text(x: float, y: float, text: str, *, anchor: str = "start", transform: str | None = None) -> Element:
    return element("text", text, x=float(x), y=float(y), text_anchor=anchor, transform=transform)
