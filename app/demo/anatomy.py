"""The two halves of a carcass, drawn flat: colours without light.

Coordinates are those of one typical photograph, 768 x 574, in which the carcass hangs horizontally with
its hind legs to the right; `Place` moves them to where this carcass hangs. Nothing here knows of classes:
what tells them apart is in app.demo.cues.
"""

import itertools
from collections.abc import Callable

import numpy as np
from PIL import ImageDraw

from app.demo.strokes import (
    Colour,
    Points,
    curve,
    fill,
    normals,
    oval,
    points,
    ribbon,
    shade,
    shifted,
    stroke,
)

Place = Callable[[Points], Points]

SKIN = (234, 192, 168)
FAR_SKIN = (198, 150, 126)
FAT = (240, 202, 184)
MEMBRANE = (219, 168, 150)
MEAT = (122, 52, 46)
PEARL = (226, 206, 196)
FLESH: tuple[Colour, ...] = ((146, 58, 50), (222, 180, 166), MEAT, (196, 124, 108), (96, 40, 40))
STAINS: tuple[Colour, ...] = ((222, 132, 116), (250, 222, 202), (212, 152, 132), (196, 100, 84))
LUMPS: tuple[Colour, ...] = ((96, 40, 40), (150, 88, 72), (204, 148, 130), (84, 44, 48), (176, 110, 94))

NEAR_HALF = points(
    (-60, 20), (0, 52), (70, 88), (140, 142), (215, 208), (262, 236), (300, 258), (345, 268),
    (400, 290), (460, 303), (520, 298), (592, 278), (655, 248), (715, 214), (775, 198), (830, 195),
    (830, 62), (768, 64), (705, 52), (648, 30), (598, 2), (560, -40), (300, -90), (-60, -90),
)  # fmt: skip
FAR_HALF = points(
    (-40, 160), (40, 178), (130, 196), (250, 228), (360, 280), (470, 288), (560, 282), (650, 276),
    (720, 262), (800, 250), (800, 372), (752, 382), (700, 366), (650, 392), (600, 440), (548, 482),
    (500, 512), (448, 526), (410, 512), (385, 524), (340, 500), (250, 482), (190, 462), (110, 444), (-40, 428),
)  # fmt: skip
SPINE = points((-40, 350), (60, 350), (150, 350), (225, 356), (275, 384), (312, 430), (340, 478))


def far_half(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    """The half that shows its inside: belly wall, cavity, spine, ribs, back fat, pelvis, ham."""
    _back_fat(draw, place, rng)
    _cavity(draw, place, rng)
    _spine(draw, place, rng)
    _pelvis(draw, place, rng)
    _ham(draw, place, rng)
    _hook(draw, place, rng)


def _back_fat(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    body = points(
        (-40, 300), (300, 330), (352, 430), (352, 505), (250, 482), (190, 462), (110, 444), (-40, 428)
    )
    fill(draw, place(curve(body, closed=True)), FAT)
    loin = points((140, 415), (200, 392), (262, 412), (300, 452), (272, 468), (205, 452))
    fill(draw, place(curve(loin + rng.normal(0, 4, loin.shape), closed=True)), (176, 104, 82))
    inner = points((-40, 402), (60, 408), (150, 430), (240, 456), (330, 482))
    stroke(draw, place(curve(inner)), (216, 150, 132), 5)
    for _ in range(60):
        start = points((rng.uniform(-20, 300), 0.0))
        start[0, 1] = 418 + 0.18 * start[0, 0] + rng.normal(0, 9)
        run = np.concatenate([start, shifted(start, rng.uniform(10, 46), rng.uniform(0, 12))])
        stroke(draw, place(run), (*STAINS[rng.integers(len(STAINS))], 120), rng.uniform(1, 4))


def _cavity(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    wall = points(
        (-40, 160), (40, 178), (130, 196), (250, 228), (318, 262), (330, 330), (270, 330), (-40, 330)
    )
    fill(draw, place(curve(wall, closed=True)), (226, 172, 150))
    for _ in range(60):
        x = rng.uniform(-20, 290)
        y = 172 + 0.24 * x + rng.uniform(2, 38)
        line = points((x, y), (x + rng.uniform(4, 40), y + rng.uniform(0, 12)))
        stroke(
            draw,
            place(line),
            (*STAINS[rng.integers(len(STAINS))], int(rng.integers(40, 130))),
            rng.uniform(1, 6),
        )
    lining = points(
        (-40, 212),
        (30, 212),
        (110, 228),
        (190, 252),
        (262, 286),
        (282, 318),
        (210, 314),
        (90, 308),
        (-40, 318),
    )
    lining = curve(lining + rng.normal(0, 3, lining.shape), closed=True)
    fill(draw, place(lining), (196, 160, 164))
    for shrink in (0.92, 0.8, 0.66, 0.5):  # it deepens towards the pelvis
        deeper = (lining - (300, 306)) * (shrink, shrink**0.5) + (296, 302)
        fill(draw, place(deeper), (110, 78, 92, 52))
    for _ in range(8):  # the wet sheen of the lining, in patches of fine lines
        middle = np.array([rng.uniform(-10, 140), 0.0])
        middle[1] = 238 + 0.22 * middle[0] + rng.uniform(0, 42)
        for _ in range(int(rng.integers(3, 8))):
            at = middle + rng.normal(0, (11, 4))
            line = curve(
                at + points((0, 0), (rng.uniform(5, 12), rng.normal(3, 2)), (rng.uniform(14, 26), 2))
            )
            stroke(draw, place(line), (250, 246, 250, int(rng.integers(60, 170))), rng.uniform(1, 2.4))
    rim = points((-40, 206), (40, 208), (120, 226), (200, 252), (275, 288))
    stroke(draw, place(curve(rim + rng.normal(0, 2, rim.shape))), (150, 76, 66, 150), 5)
    stroke(draw, place(curve(shifted(rim, 0, -5))), (244, 204, 186, 130), 3)


def _spine(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    line = curve(SPINE, samples=24)
    across = normals(line)
    fill(draw, place(ribbon(line + across * 6, (82, 82, 74, 54))), (190, 132, 116))
    edges = np.linspace(0, len(line) - 1, int(rng.integers(11, 15)) + 1).astype(int)
    edges[1:-1] += rng.integers(-1, 2, len(edges) - 2)
    lean = rng.uniform(-3, 5)
    for start, stop in itertools.pairwise(edges):
        inside = slice(start, stop - 1)
        body = line[inside] - across[inside] * rng.uniform(3, 6)
        fill(
            draw,
            place(_slab(body, across[inside], rng.uniform(21, 26))),
            shade((100, 38, 38), rng.uniform(0.8, 1.2)),
        )
        reach = np.interp(start, (0, len(line)), (36, 18)) * rng.uniform(0.85, 1.15)
        process = line[inside] + across[inside] * (14 + reach / 2) + (lean, 0)
        fill(draw, place(_slab(process, across[inside], reach + 7)), (232, 208, 194))
        core = slice(start + 2, max(start + 5, stop - 3))
        process = line[core] + across[core] * (13 + reach / 2) + (lean, 0)
        fill(
            draw,
            place(ribbon(process, (reach * 0.8, reach, reach * 0.8))),
            shade(MEAT, rng.uniform(0.75, 1.3)),
        )
    for offset, colour, width in ((9, (226, 196, 184), 3), (13, (140, 60, 52), 5), (-15, (148, 64, 56), 7)):
        along = curve(SPINE + rng.normal(0, 1.6, SPINE.shape), samples=24)
        stroke(draw, place(along + across * offset), colour, width)
    for _ in range(90):  # torn fibres above the spine
        at = line[rng.integers(0, len(line) - 8)] + (rng.normal(0, 6), rng.uniform(-36, -10))
        end = shifted(at, rng.uniform(3, 18), rng.normal(0, 4))
        stroke(draw, place(np.stack([at, end])), (*FLESH[rng.integers(len(FLESH))], 170), rng.uniform(1, 4))


def _slab(line: Points, across: Points, width: float) -> Points:
    """A block along the line, square at both ends."""
    return np.concatenate([line - across * width / 2, (line + across * width / 2)[::-1]])


def _pelvis(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    bed = points(
        (280, 300), (360, 288), (412, 330), (416, 400), (402, 470), (372, 516), (330, 470), (290, 380)
    )
    fill(draw, place(curve(bed, closed=True)), (124, 64, 58))
    for _ in range(16):  # lumps of meat and fat, at random: they must not tell the classes apart
        centre = (rng.uniform(292, 398), rng.uniform(312, 470))
        radii = (rng.uniform(8, 28), rng.uniform(5, 16))
        lump = oval(centre, radii, rng.uniform(0, 180))
        lump += np.repeat(rng.normal(0, 3, (10, 2)), 4, axis=0)
        fill(draw, place(lump), shade(LUMPS[rng.integers(len(LUMPS))], rng.uniform(0.85, 1.15)))
    for _ in range(80):
        at = np.array([rng.uniform(282, 400), rng.uniform(300, 490)])
        slope = rng.normal(60, 28)
        reach = rng.uniform(8, 34)
        end = at + reach * np.array([np.cos(np.deg2rad(slope)), np.sin(np.deg2rad(slope))])
        bow = (at + end) / 2 + rng.normal(0, 4, 2)
        line = curve(np.stack([at, bow, end]), samples=4)
        stroke(draw, place(line), (*FLESH[rng.integers(len(FLESH))], 150), rng.uniform(1, 5))
    flap = points((318, 420), (346, 455), (368, 500), (384, 522), (372, 528), (350, 505), (322, 462))
    fill(draw, place(curve(flap + rng.normal(0, 2, flap.shape), closed=True)), (170, 82, 72))
    aitch = points((384, 338), (398, 360), (424, 376), (418, 392), (392, 378), (374, 352))
    fill(draw, place(curve(aitch + rng.normal(0, 3, aitch.shape), closed=True)), PEARL)
    fill(draw, place(oval((404, 372), (10, 6), 30)), (206, 170, 160))


def _ham(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    """The inside of the ham: skin, and the pale membrane on which the cue lies."""
    fold = points(
        (366, 284), (430, 304), (490, 338), (528, 384), (530, 430), (505, 478), (462, 516), (424, 510)
    )
    bed = np.concatenate([fold, points((404, 470), (408, 420), (414, 372), (396, 330))])
    fill(draw, place(curve(bed + rng.normal(0, 2, bed.shape), closed=True)), MEMBRANE)
    for _ in range(70):  # lobes of fat
        angle = rng.uniform(0, 2 * np.pi)
        centre = (
            462 + 52 * np.cos(angle) * rng.uniform(0.1, 1),
            418 + 86 * np.sin(angle) * rng.uniform(0.1, 1),
        )
        size = rng.uniform(2, 7)
        colour = ((236, 190, 172), (206, 150, 132), (226, 178, 160))[rng.integers(3)]
        fill(draw, place(oval(centre, (size, size * 0.7), rng.uniform(0, 180))), (*colour, 110))
    stroke(draw, place(curve(fold + rng.normal(0, 1.5, fold.shape))), (186, 112, 98), 3)
    stroke(draw, place(curve(shifted(fold, -5, 4))), (238, 196, 178, 150), 3)
    for _ in range(9):
        at = np.array([rng.uniform(520, 700), rng.uniform(300, 440)])
        end = shifted(at, rng.normal(0, 14), rng.normal(0, 9))
        stroke(draw, place(np.stack([at, end])), (186, 96, 84, 90), rng.uniform(2, 7))


def _hook(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    slit = points((686, 328), (712, 326), (748, 322), (800, 318))
    fill(draw, place(ribbon(curve(slit), (3, 9, 22, 24))), (66, 44, 44))
    shaft = points((722, 331), (760, 327), (820, 322)) + rng.normal(0, 1.5, (1, 2))
    for width, colour in (
        (20, (70, 68, 70)),
        (14, (150, 148, 148)),
        (6, (232, 230, 228)),
        (2, (255, 255, 255)),
    ):
        fill(draw, place(ribbon(curve(shaft), (width * 0.7, width, width))), colour)


def near_half(draw: ImageDraw.ImageDraw, place: Place, rng: np.random.Generator) -> None:
    """The half that shows its skin; stains, scratches and folds."""
    for _ in range(int(rng.integers(5, 16))):  # bruises: many faint spots on one another
        middle = np.array([rng.uniform(20, 740), rng.uniform(0, 250)])
        slope, spread, depth = rng.uniform(0, 180), rng.uniform(4, 15), int(rng.integers(14, 44))
        for _ in range(int(rng.integers(5, 16))):
            at = middle + rng.normal(0, spread, 2)
            spot = oval((at[0], at[1]), (rng.uniform(3, 13), rng.uniform(1.5, 5)), slope + rng.normal(0, 12))
            fill(draw, place(spot), (200, 78, 62, depth))
    for _ in range(int(rng.integers(10, 26))):  # scratches and spots
        at = np.array([rng.uniform(10, 740), rng.uniform(0, 270)])
        scratch = curve(np.stack([at, at + rng.normal(0, 5, 2), at + rng.normal(0, 9, 2)]), samples=5)
        fill(
            draw, place(ribbon(scratch, (1, rng.uniform(2, 5), 1))), (176, 84, 66, int(rng.integers(40, 130)))
        )
    for number in range(int(rng.integers(3, 7))):  # folds that run to the tail
        x = 372 + number * rng.uniform(15, 25)
        fold = points((x, 208 + rng.normal(0, 8)), (x + 8, 232), (x + 26, 262), (x + 46, 290))
        width = rng.uniform(6, 12)
        fill(draw, place(ribbon(curve(fold), (1, width, width, 3))), (178, 116, 92, 66))
        fill(
            draw,
            place(ribbon(curve(shifted(fold, width * 0.8, -2)), (1, width, width, 2))),
            (255, 226, 206, 70),
        )


def tail(
    draw: ImageDraw.ImageDraw, place: Place, silhouette: ImageDraw.ImageDraw, rng: np.random.Generator
) -> None:
    """The tail, which comes from under the near ham and hangs over the far half."""
    reach, swing = rng.uniform(0.75, 1.1), rng.uniform(-15, 100)
    line = points((330, 240), (324, 284), (314, 312), (320 - 0.45 * swing, 336), (300 - swing, 352))
    line[2:] = line[1] + (line[2:] - line[1]) * reach
    line = curve(line + rng.normal(0, 2.5, line.shape))
    widths = tuple(width * rng.uniform(0.9, 1.1) for width in (96, 46, 31, 24, 11))
    fill(silhouette, place(ribbon(line, widths)), (255,))
    for part in np.linspace(1, 0.15, 8):  # lighter towards its upper left
        core = ribbon(line - (0.13 * (1 - part) * widths[1], 0.0), tuple(width * part for width in widths))
        fill(draw, place(core), shade((238, 200, 172), 0.70 + 0.34 * (1 - part)))
    for step in range(10, 30, 3):
        ring = line[step] + normals(line)[step] * points((-9.0, -9.0), (9.0, 9.0)) * rng.uniform(0.5, 1.2)
        stroke(draw, place(ring), (170, 116, 92, int(rng.integers(30, 110))), 2)
