"""Paints a synthetic photograph of a pig carcass, and says where the evidence is.

class, seed -> scene (pose, shapes, light, ink, backdrop: from the seed alone) -> the class's cue -> picture

Two pictures of one seed and two classes differ only inside their cue masks: everything else is drawn from
a generator that never hears of the class. The scene follows the real camera: 768 x 574, a dark blue
backdrop, two halves hanging horizontally, a steel bar, ink on the ham, and about a third of the pixels
with a saturated channel. Nothing here was cut from a photograph.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from app.demo import anatomy
from app.demo.cues import cue
from app.demo.ink import ink
from app.demo.light import Silhouettes, exposed, frayed
from app.demo.strokes import Points, curve, fill, oval, points, shade, stroke, turn_matrix

CLASSES = ("castrate", "boar", "female")
WIDTH, HEIGHT = 768, 574
MASK_MARGIN = 10
"""Pixels around the cue that still count as the cue: half a cell of the smallest map, and the blur."""


@dataclass(frozen=True, slots=True)
class Painting:
    """A picture and its truth."""

    image: NDArray[np.uint8]
    """(574, 768, 3), RGB."""
    cue_mask: NDArray[np.bool_]
    """(574, 768): where the evidence for the class is, and MASK_MARGIN pixels around it."""
    class_name: str


def paint(class_name: str, seed: int) -> Painting:
    """One carcass; the same arguments give the same pixels."""
    if class_name not in CLASSES:
        raise ValueError(f"unknown class {class_name!r}; the painter knows {', '.join(CLASSES)}")
    rng = np.random.default_rng(seed)
    cue_rng = np.random.default_rng(
        (seed, 1)
    )  # its own: a form that throws more dice must not move the scene
    far, near = _pose(rng)

    flat = _backdrop(rng)
    far_outline, near_outline = far(_wobble(anatomy.FAR_HALF, rng)), near(_wobble(anatomy.NEAR_HALF, rng))
    far_mask, near_mask, bar_mask, tail_mask = (Image.new("L", flat.size) for _ in range(4))
    fill(ImageDraw.Draw(far_mask), far_outline, (255,))
    fill(ImageDraw.Draw(near_mask), near_outline, (255,))

    meat = Image.new("RGB", flat.size, anatomy.FAR_SKIN)
    draw = ImageDraw.Draw(meat, "RGBA")
    anatomy.far_half(draw, far, rng)
    plain = meat.copy()
    cue(draw, far, class_name, cue_rng)
    cue_mask = _dilated(ImageChops.difference(meat, plain))
    flat.paste(frayed(meat, rng), mask=far_mask)

    draw = ImageDraw.Draw(flat, "RGBA")
    _bar(draw, ImageDraw.Draw(bar_mask), rng)
    anatomy.tail(draw, near, ImageDraw.Draw(tail_mask), rng)
    skin = Image.new("RGB", flat.size, anatomy.SKIN)
    draw = ImageDraw.Draw(skin, "RGBA")
    anatomy.near_half(draw, near, rng)
    skin = skin.filter(ImageFilter.BoxBlur(2))  # skin has no sharp edges; ink has
    ink(ImageDraw.Draw(skin, "RGBA"), near, rng)
    flat.paste(skin, mask=near_mask)

    image = exposed(flat, Silhouettes(far_mask, near_mask, tail_mask, bar_mask), rng)
    return Painting(image=image, cue_mask=cue_mask, class_name=class_name)


def _pose(rng: np.random.Generator) -> tuple[anatomy.Place, anatomy.Place]:
    """Where the far and the near half hang: one swing for both, and a little of its own for each."""
    shift, scale, degrees = rng.uniform((-20, -14), (20, 14)), rng.uniform(0.95, 1.05), rng.uniform(-4, 4)

    def hang(own_shift: Points, own_degrees: float) -> anatomy.Place:
        turn = turn_matrix(degrees + own_degrees).T * scale
        centre = np.array([420.0, 290.0])
        move = centre - centre @ turn + shift + own_shift
        return lambda line: line @ turn + move

    far = hang(rng.uniform((-6, -12), (6, 16)), rng.uniform(-1.5, 1.5))
    near = hang(rng.uniform((-10, -14), (10, 8)), rng.uniform(-2, 2))
    return far, near


def _wobble(outline: Points, rng: np.random.Generator) -> Points:
    """The same half of another animal: every control point a little elsewhere, then a smooth line."""
    return curve(outline + rng.normal(0, 3.5, outline.shape), closed=True)


def _backdrop(rng: np.random.Generator) -> Image.Image:
    blue = np.array([23, 27, 56]) + rng.normal(0, (2, 2, 6))
    left_to_right = np.linspace(rng.uniform(1.0, 1.3), rng.uniform(0.8, 1.0), WIDTH)
    row = np.clip(blue * left_to_right[:, None], 0, 255).astype(np.uint8)
    picture = Image.fromarray(np.broadcast_to(row, (HEIGHT, WIDTH, 3)).copy())
    draw = ImageDraw.Draw(picture, "RGBA")
    for _ in range(int(rng.integers(0, 12))):  # drops and flecks on the wall
        at = (rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT))
        fill(draw, oval(at, (rng.uniform(0.8, 2.5), 1.2)), (96, 100, 130, int(rng.integers(40, 140))))
    if rng.random() < 0.3:
        y = rng.uniform(520, 565)
        scratch = np.stack([np.linspace(0, WIDTH, 9), y + rng.normal(0, 3, 9)], axis=1)
        stroke(draw, curve(scratch), (110, 116, 150, 50), 1)
    return picture


def _bar(draw: ImageDraw.ImageDraw, silhouette: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """The steel bar that the carcass leans on: it stands still while carcasses swing."""
    x, lean, width = 352 + rng.normal(0, 4), rng.normal(0, 3), rng.uniform(20, 26)
    steel = shade((150, 146, 138), rng.uniform(0.9, 1.15))
    columns = 26
    for column in range(columns):
        across = (column + 0.5) / columns
        gleam = 0.2 + 1.1 * np.exp(-(((across - 0.42) / 0.15) ** 2)) + 0.14 * across
        left = x - width / 2 + width * across
        right, foot = left + 1.5 * width / columns, HEIGHT + 4
        strip = points((left, 258), (right, 258), (right + lean, foot), (left + lean, foot))
        fill(draw, strip, shade(steel, gleam))
        fill(silhouette, strip, (255,))


def _dilated(difference: Image.Image) -> NDArray[np.bool_]:
    """Every pixel within MASK_MARGIN of one that the cue changed."""
    left, top, right, bottom = difference.getbbox() or (0, 0, 0, 0)
    box = (left - MASK_MARGIN, top - MASK_MARGIN, right + MASK_MARGIN, bottom + MASK_MARGIN)
    near_by = np.asarray(difference.crop(box)).any(axis=2)
    for axis in (0, 1):
        near_by = np.logical_or.reduce(
            [np.roll(near_by, step, axis) for step in range(-MASK_MARGIN, MASK_MARGIN + 1)]
        )
    mask = Image.new("1", difference.size)
    mask.paste(Image.fromarray(near_by), box[:2])
    return np.asarray(mask)


def painted_file(class_name: str, seed: int, *, quality: int = 82) -> bytes:
    """One painting as a camera would deliver it, a JPEG of about 55 kB."""
    file = io.BytesIO()
    Image.fromarray(paint(class_name, seed).image).save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()
