"""Two plots of a tuning as one SVG file: latency and images/s against batch size, a line for each configuration.

Measured -> tuning_chart -> bytes

A colour is an engine and precision, a dash a number of threads; what is recommended is drawn thick.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, tostring

from app.reports.html import element
from app.tuning.configurations import Configuration
from app.tuning.measured import Measured, Row

# Told apart also by those who see red and green alike (Okabe and Ito 2008).
_COLOURS: Final = {
    ("openvino", "float32"): "#0072b2",
    ("openvino", "bfloat16"): "#009e73",
    ("openvino", "int8"): "#d55e00",
    ("torch", "float32"): "#777777",
    ("torch", "bfloat16"): "#cc79a7",
    ("torch", "int8"): "#b8860b",
}
_DASHES: Final = (None, "7 3", "2 3", "9 3 2 3", "12 4", "1 4", "6 2 1 2 1 2")
_LEFT, _TOP, _WIDE, _HIGH = 64, 78, 340, 260
_GAP: Final = 84
_ROW: Final = 18
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', sans-serif"


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values to pixels from the bottom of a panel."""

    low: float
    high: float
    ticks: tuple[float, ...]
    is_logarithmic: bool

    def share(self, value: float) -> float:
        if self.is_logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def tuning_chart(measured: Measured, recommended: Configuration) -> bytes:
    """The file, UTF-8."""
    rows = measured.rows
    legend_top = _TOP + _HIGH + 62
    legend = _legend(rows, recommended, legend_top)
    width = _LEFT + 2 * _WIDE + _GAP + 24
    height = legend_top + _ROW * math.ceil(len(rows) / 2) + 12
    here = measured.here
    latency = _logarithmic([timing.median_s * 1000 for row in rows for timing in row.timings.values()])
    rate = _linear([row.per_s(size) for row in rows for size in row.timings])
    svg = element(
        "svg",
        element("title", f"{measured.name} version {measured.version}: latency and images/s by batch size"),
        element("rect", width=width, height=height, fill="#ffffff"),
        _text(16, 24, f"{measured.name} version {measured.version}", font_size=16, font_weight=600),
        _text(
            16,
            42,
            f"{here.title}, {here.date}",
            fill="#555555",
        ),
        _panel(rows, recommended, _LEFT, "ms for a batch", latency, _milliseconds),
        _panel(rows, recommended, _LEFT + _WIDE + _GAP, "images/s of the engine", rate, Row.per_s),
        legend,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        font_family=_FONT,
        font_size=12,
    )
    return tostring(svg, encoding="unicode").encode("utf-8") + b"\n"


def _milliseconds(row: Row, size: int) -> float:
    return row.timings[size].median_s * 1000


def _panel(
    rows: Sequence[Row],
    recommended: Configuration,
    left: int,
    title: str,
    axis: _Axis,
    value: Callable[[Row, int], float],
) -> Element:
    sizes = list(rows[0].timings)
    across = {size: left + _WIDE * at / max(1, len(sizes) - 1) for at, size in enumerate(sizes)}
    bottom = _TOP + _HIGH
    dashes = _dashes(rows)
    parts = [_text(left, _TOP - 6, title, font_weight=600)]
    for tick in axis.ticks:
        y = bottom - _HIGH * axis.share(tick)
        parts.append(element("path", d=f"M{left} {y:.1f}H{left + _WIDE}", stroke="#e3e3e3"))
        parts.append(_text(left - 8, y + 4, f"{tick:g}", text_anchor="end", fill="#555555"))
    for size, x in across.items():
        parts.append(_text(x, bottom + 18, str(size), text_anchor="middle", fill="#555555"))
    parts.append(_text(left + _WIDE / 2, bottom + 36, "batch size", text_anchor="middle", fill="#555555"))
    for row in sorted(rows, key=lambda row: row.configuration == recommended):  # the thick line on top
        points = [(across[size], bottom - _HIGH * axis.share(value(row, size))) for size in row.timings]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        look = _look(row.configuration, recommended, dashes)
        parts.append(element("polyline", points=line, fill="none", **look))
        radius = 4 if row.configuration == recommended else 2.5
        parts += [
            element("circle", cx=round(x, 1), cy=round(y, 1), r=radius, fill=look["stroke"])
            for x, y in points
        ]
    return element("g", *parts)


def _legend(rows: Sequence[Row], recommended: Configuration, top: int) -> Element:
    """Two columns."""
    dashes = _dashes(rows)
    parts = []
    half = math.ceil(len(rows) / 2)
    for at, row in enumerate(rows):
        x, y = _LEFT + (at // half) * (_WIDE + _GAP), top + _ROW * (at % half)
        is_chosen = row.configuration == recommended
        said = " (recommended)" if is_chosen else ""
        if row.refusal is not None:
            said = " (golden images fail)"
        look = _look(row.configuration, recommended, dashes)
        parts.append(element("path", d=f"M{x} {y - 4}h36", fill="none", **look))
        parts.append(_text(x + 46, y, f"{row.configuration}{said}", font_weight=600 if is_chosen else None))
    return element("g", *parts)


def _dashes(rows: Sequence[Row]) -> Mapping[int | None, str | None]:
    """All cores are a whole line."""
    counts = sorted({row.configuration.threads or 0 for row in rows}, reverse=True)
    return {count or None: _DASHES[at % len(_DASHES)] for at, count in enumerate(counts)}


def _look(
    configuration: Configuration, recommended: Configuration, dashes: Mapping[int | None, str | None]
) -> dict[str, str | float | None]:
    return {
        "stroke": _COLOURS[configuration.runtime, configuration.precision],
        "stroke_width": 3.5 if configuration == recommended else 1.6,
        "stroke_dasharray": dashes[configuration.threads],
    }


def _logarithmic(values: Sequence[float]) -> _Axis:
    """1, 2 and 5 of each power of ten; they all lie on the axis."""
    low, high = min(values), max(values)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)]
    bottom = max(tick for tick in every if tick <= low)
    top = min((tick for tick in every if tick >= high and tick > bottom), default=10.0 ** (last + 1))
    ticks = tuple(tick for tick in every if bottom <= tick <= top)
    return _Axis(bottom, top, ticks, is_logarithmic=True)


def _linear(values: Sequence[float]) -> _Axis:
    """From 0, at most seven ticks."""
    high = max(values)
    power = 10.0 ** math.floor(math.log10(high / 6))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power * 6 >= high)
    count = math.ceil(high / step)
    return _Axis(0.0, count * step, tuple(at * step for at in range(count + 1)), is_logarithmic=False)


def _text(x: float, y: float, words: str, **attributes: str | float | None) -> Element:
    return element("text", words, x=round(x, 1), y=round(y, 1), **attributes)
