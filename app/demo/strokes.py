"""Curves and brush strokes on a Pillow picture: what the painter draws with.

Knows nothing of carcasses. Points are float64 arrays (N, 2) of x, y in pixels.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

Points = NDArray[np.float64]
Colour = tuple[int, ...]
"""RGB, or RGBA on a drawing opened in mode "RGBA": there Pillow blends."""


def points(*pairs: tuple[float, float]) -> Points:
    """Write points as pairs."""
    return np.array(pairs, dtype=np.float64)


def curve(control: Points, *, closed: bool = False, samples: int = 10) -> Points:
    """Catmull-Rom spline through every control point, `samples` points to a segment."""
    ends = (
        (control[-1:], control[:2])
        if closed
        else (2 * control[:1] - control[1:2], 2 * control[-1:] - control[-2:-1])
    )
    padded = np.concatenate([ends[0], control, ends[1]])
    before, start, stop, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    corners = np.stack([before, start, stop, after], axis=1)  # (segments, 4, 2)
    line: Points = (_spline_weights(samples) @ corners).reshape(-1, 2)
    return line if closed else np.concatenate([line, control[-1:]])


@lru_cache
def _spline_weights(samples: int) -> NDArray[np.float64]:
    """(samples, 4): what each of four control points gives to a point between the middle two."""
    t = np.linspace(0, 1, samples, endpoint=False)
    cubic = [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    weights: NDArray[np.float64] = np.stack(cubic, axis=1) / 2
    return weights


def shifted(line: Points, x: float, y: float) -> Points:
    """The same line elsewhere."""
    moved: Points = line + np.array((x, y))
    return moved


def normals(line: Points) -> Points:
    """Unit vectors across the line, to its right when y points down."""
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    return np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)


def ribbon(line: Points, widths: tuple[float, ...]) -> Points:
    """Outline of a stroke along the line whose width runs through `widths`, with round ends."""
    across = normals(line)
    half = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths)[:, None] / 2
    right, left = line + across * half, line - across * half
    turn = np.linspace(0, np.pi, 9)[1:-1, None]
    tip, root = line[-1], line[0]
    front = np.array([-across[-1, 1], across[-1, 0]]) * -half[-1]
    back = np.array([-across[0, 1], across[0, 0]]) * half[0]
    cap = tip + np.cos(turn) * across[-1] * half[-1] + np.sin(turn) * front
    foot = root - np.cos(turn) * across[0] * half[0] + np.sin(turn) * back
    return np.concatenate([right, cap, left[::-1], foot])


def oval(centre: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0) -> Points:
    """Outline of an ellipse."""
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = np.stack([np.cos(t) * radii[0], np.sin(t) * radii[1]], axis=1)
    return shifted(ring @ turn_matrix(degrees).T, *centre)


def turn_matrix(degrees: float) -> NDArray[np.float64]:
    """Rotation, clockwise on the screen."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def fill(draw: ImageDraw.ImageDraw, outline: Points, colour: Colour) -> None:
    """Paint the inside."""
    draw.polygon(outline.ravel().tolist(), fill=colour)


def stroke(draw: ImageDraw.ImageDraw, line: Points, colour: Colour, width: float = 1.0) -> None:
    """Paint along the line."""
    draw.line(line.ravel().tolist(), fill=colour, width=max(1, round(width)), joint="curve")


def shade(colour: Colour, factor: float) -> Colour:
    """The same colour, lighter or darker; alpha stays."""
    rgb = tuple(min(255, max(0, round(value * factor))) for value in colour[:3])
    return (*rgb, *colour[3:])


# Digits as a hand writes them: strokes in a box one high and 0.6 wide, y down.
DIGITS: dict[str, tuple[Points, ...]] = {
    "0": (points((0.3, 0), (0.02, 0.4), (0.2, 0.98), (0.5, 0.8), (0.55, 0.25), (0.3, 0)),),
    "1": (points((0.2, 0.1), (0.36, 0), (0.3, 1)),),
    "2": (points((0.05, 0.2), (0.35, 0), (0.5, 0.3), (0.05, 0.95), (0.6, 0.9)),),
    "3": (points((0.08, 0.08), (0.5, 0.12), (0.22, 0.45), (0.55, 0.7), (0.05, 0.98)),),
    "4": (points((0.3, 0), (0.02, 0.62), (0.6, 0.55)), points((0.45, 0.25), (0.38, 1))),
    "5": (points((0.12, 0.05), (0.1, 0.45), (0.5, 0.6), (0.05, 1)), points((0.12, 0.05), (0.6, 0))),
    "6": (points((0.45, 0), (0.05, 0.6), (0.3, 1), (0.52, 0.72), (0.1, 0.65)),),
    "7": (points((0.02, 0.08), (0.58, 0.02), (0.25, 1)),),
    "8": (points((0.5, 0.12), (0.08, 0.2), (0.5, 0.7), (0.25, 1), (0.08, 0.7), (0.5, 0.12)),),
    "9": (points((0.5, 0.2), (0.1, 0.25), (0.3, 0.5), (0.52, 0.12), (0.4, 1)),),
}
