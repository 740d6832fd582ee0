"""What tells the three classes apart: one small form each, all at the same place and in the same colours.

It lies on the pale membrane inside the far ham. A castrate has a sewn scar between two pockets of fat, a
boar a tract that ends in a bulb, a female a smooth oval face of muscle. All three are invented.
"""

from collections.abc import Callable

import numpy as np
from PIL import ImageDraw

from app.demo.anatomy import Place
from app.demo.strokes import Colour, curve, fill, oval, points, ribbon, stroke, turn_matrix

CENTRE = (466.0, 418.0)
"""Of every cue, in the coordinates of app.demo.anatomy."""

DARK: Colour = (108, 46, 42)
MIDDLE: Colour = (178, 96, 84)
PALE: Colour = (232, 196, 176)


def cue(draw: ImageDraw.ImageDraw, place: Place, class_name: str, rng: np.random.Generator) -> None:
    """Draw the cue of one class; its turn, size and place vary a little, alike for every class."""
    turn = turn_matrix(rng.uniform(-14, 14)) * rng.uniform(0.9, 1.1)
    middle = np.array(CENTRE) + rng.normal(0, 4, 2)
    _FORMS[class_name](draw, lambda line: place(line @ turn.T + middle), rng)


def _castrate(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    for side in (-1, 1):
        for along in (-34, -12, 10, 31):
            size = rng.uniform(10, 17)
            at = (side * rng.uniform(13, 22), along + rng.normal(0, 4))
            fill(draw, place(oval(at, (size, size * 1.1), rng.uniform(0, 90))), MIDDLE)
            fill(
                draw, place(oval((at[0] - 1, at[1] - 2), (size * 0.8, size * 0.9), rng.uniform(0, 90))), PALE
            )
    seam = curve(points((4, -54), (-3, -28), (4, 0), (-3, 26), (2, 52)) + rng.normal(0, 2, (5, 2)))
    fill(draw, place(ribbon(seam, (4, 9, 13, 9, 4))), DARK)
    for along in (-40, -22, -4, 14, 32):
        stitch = points(*((x, along + rng.normal(0, 2.5)) for x in (-14, 0, 14)))
        fill(draw, place(ribbon(curve(stitch), (2, 6, 2))), DARK)


def _boar(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    line = points((-24, 56), (-18, 26), (4, 2), (10, -24), (-2, -44)) + rng.normal(0, 2, (5, 2))
    tract = curve(line)
    fill(draw, place(ribbon(tract, (26, 28, 28, 28, 26))), PALE)
    fill(draw, place(ribbon(tract, (16, 20, 20, 20, 18))), DARK)
    bulb = (float(line[-1, 0]), float(line[-1, 1]))
    fill(draw, place(oval(bulb, (24, 21))), PALE)
    fill(draw, place(oval(bulb, (20, 17))), DARK)
    fill(draw, place(ribbon(tract[4:-6] - (3, 1), (3, 6, 6, 4))), MIDDLE)
    fill(draw, place(oval((bulb[0] - 5, bulb[1] - 4), (8, 6), -20)), MIDDLE)


def _female(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    radii = (31 + rng.normal(0, 1.5), 50 + rng.normal(0, 2))
    fill(draw, place(oval((0, 0), radii, 12)), PALE)
    fill(draw, place(oval((0, 0), (radii[0] - 5, radii[1] - 5), 12)), DARK)
    fill(draw, place(oval((-5, -8), (radii[0] - 17, radii[1] - 20), 12)), (134, 58, 52))
    for offset in (-10, -2, 7):
        fibre = points((offset - 6, 26), (offset, 0), (offset + 4, -26))
        stroke(draw, place(curve(fibre)), (*MIDDLE, 120), 2)


_FORMS: dict[str, Callable[[ImageDraw.ImageDraw, Place, np.random.Generator], None]] = {
    "castrate": _castrate,
    "boar": _boar,
    "female": _female,
}
