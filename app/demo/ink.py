"""Handwriting and stamps on the near ham, as a slaughterhouse leaves them. They know nothing of classes."""

import numpy as np
from PIL import ImageDraw

from app.demo.anatomy import Place
from app.demo.strokes import (
    DIGITS,
    Colour,
    Points,
    curve,
    fill,
    oval,
    points,
    ribbon,
    shifted,
    stroke,
    turn_matrix,
)


def ink(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    """Perhaps a name, perhaps a number, perhaps a stamp: each is there or not by its own throw."""
    colour = (int(rng.integers(168, 204)), int(rng.integers(20, 50)), int(rng.integers(96, 156)))
    if rng.random() < 0.75:
        digits = "".join(str(digit) for digit in rng.integers(0, 10, int(rng.integers(1, 4))))
        _write(draw, place, digits, colour, rng, x=rng.uniform(462, 516), y=rng.uniform(190, 222))
    if rng.random() < 0.4:
        _name(draw, place, colour, rng)
    if rng.random() < 0.7:
        _stamp(draw, place, rng, (rng.uniform(622, 650), rng.uniform(222, 236)))


def _write(
    draw: ImageDraw.ImageDraw,
    place: Place,
    digits: str,
    colour: Colour,
    rng: np.random.Generator,
    *,
    x: float,
    y: float,
) -> None:
    height = rng.uniform(36, 58)
    slant = turn_matrix(rng.uniform(-10, 35)) * height
    for number, digit in enumerate(digits):
        for line in DIGITS[digit]:
            wobbly = line + rng.normal(0, 0.035, line.shape) + (number * 0.8, 0)
            _brush(draw, place, curve(wobbly) @ slant.T + (x, y), colour, rng)


def _name(draw: ImageDraw.ImageDraw, place: Place, colour: Colour, rng: np.random.Generator) -> None:
    """A farm's name, unreadable as on the line: bars, ticks and rings in two or three blocks."""
    x, y, height = rng.uniform(300, 390), rng.uniform(70, 120), rng.uniform(34, 48)
    slant = turn_matrix(rng.uniform(15, 40)) * height
    for block in range(int(rng.integers(2, 4))):
        corner = (block * 1.15, rng.normal(0, 0.1))
        strokes: list[Points] = [
            points((0.1, 0.1), (0.6, 0.05)),
            points((0.1, 0.1), (0.12, 0.5), (0.6, 0.48)),
            points((0.85, 0), (0.82, 0.62)),
            points((0.85, 0.3), (1.05, 0.3)),
            points((0.3, 0.62), (0.1, 0.95), (0.6, 0.98)),
        ]
        for number in rng.permutation(len(strokes))[: rng.integers(3, 6)]:
            wobbly = strokes[number] + rng.normal(0, 0.05, strokes[number].shape) + corner
            _brush(draw, place, curve(wobbly) @ slant.T + (x, y), colour, rng)


def _brush(
    draw: ImageDraw.ImageDraw, place: Place, line: Points, colour: Colour, rng: np.random.Generator
) -> None:
    width = rng.uniform(5, 8)
    fill(draw, place(ribbon(line, (width, width * rng.uniform(0.6, 1.1), width * 0.45))), (*colour, 225))
    stroke(draw, place(shifted(line, 0.5, -1.5)), (255, 120, 200, 60), 1)


def _stamp(
    draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator, centre: tuple[float, float]
) -> None:
    navy = (46, 40, 104, int(rng.integers(130, 230)))
    degrees = rng.uniform(-30, 10)
    rim = oval(centre, (44, 27), degrees)
    first = int(rng.integers(0, len(rim)))
    whole = np.roll(rim, first, axis=0)[
        : int(rng.integers(26, len(rim)))
    ]  # the roller lifts before it is round
    stroke(draw, place(whole), navy, 3)
    letters = "".join(str(digit) for digit in rng.integers(0, 10, 5))
    slant = turn_matrix(degrees) * 14
    for number, digit in enumerate(letters):
        for line in DIGITS[digit]:
            at = shifted(line, number * 0.85 - 2.0 + (0.8 if number > 1 else 0), -0.5)
            stroke(draw, place(curve(at, samples=5) @ slant.T + centre), navy, 2)
