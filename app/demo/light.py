"""Light and camera: a flat drawing becomes an exposed photograph.

flat colours (RGB) x light (one number per pixel) x the camera's mood -> blown highlights, noise -> uint8

The lamp stands before the near half, so its middle is white in most pictures, as in the real ones, and the
far half lies in its shadow. All of it is drawn from the scene's generator, never from the class.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

Field = NDArray[np.float32]
COARSE = 4
"""Light changes slowly: it is computed at a quarter of the size, 16 times cheaper."""


@dataclass(frozen=True, slots=True)
class Silhouettes:
    """What covers what, from back to front: "L" pictures, 255 where the thing is."""

    far: Image.Image
    near: Image.Image
    tail: Image.Image
    bar: Image.Image


def frayed(flat: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The drawing with every pixel fetched from up to 5 pixels away: flesh has no straight edges."""
    height, width = flat.height, flat.width
    down, right = (_drift(flat.size, rng) for _ in range(2))
    rows = np.clip(np.arange(height, dtype=np.int32)[:, None] + down, 0, height - 1)
    columns = np.clip(np.arange(width, dtype=np.int32) + right, 0, width - 1)
    packed = np.asarray(flat.convert("RGBX")).view(np.uint32)[
        ..., 0
    ]  # one number per pixel: one fetch, not three
    fetched = packed.ravel().take(rows * width + columns)
    return Image.frombuffer("RGBX", flat.size, fetched.tobytes(), "raw", "RGBX", 0, 1).convert("RGB")


def _drift(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.int32]:
    """(H, W) whole pixels to go along one axis: slow waves and a quick tremor."""
    coarse = (size[1] // COARSE, size[0] // COARSE)
    field = 1.0 * _mottle(coarse, 40, rng) + 0.7 * _mottle(coarse, 150, rng)
    return np.clip(_full(field, size), -5, 5).astype(np.int32)


def exposed(flat: Image.Image, shapes: Silhouettes, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photograph (H, W, 3) of a flat drawing."""
    size = flat.size
    near_light, redness = _near_light(shapes.near, rng)
    light = np.full((size[1], size[0]), 0.9, np.float32)
    _lay(light, shapes.far, _full(_far_light(shapes, rng), size) * _relief(flat, rng))
    _lay(light, shapes.bar, np.float32(0.95))
    _lay(light, shapes.tail, np.float32(rng.uniform(0.85, 1.05)))
    _lay(light, shapes.near, _full(near_light, size))
    redness_full = _full(redness, size)
    redness_full *= _soft(shapes.near)
    return _camera(flat, light, redness_full, rng)


def _relief(flat: Image.Image, rng: np.random.Generator) -> Field:
    """Bright things stand out and dark ones lie deep: a lamp at the upper left shows it. Near 1 everywhere."""
    height = np.asarray(flat.convert("L").filter(ImageFilter.BoxBlur(1.5)), np.float32)
    relief = np.ones_like(height)
    relief[3:, 3:] += (height[3:, 3:] - height[:-3, :-3]) * np.float32(rng.uniform(0.0026, 0.0038))
    grain = _mottle(height.shape, 190, rng)
    relief += np.float32(0.05) * grain
    return np.clip(relief, 0.65, 1.4)


def _soft(silhouette: Image.Image) -> Field:
    """(H, W) in 0..1 with a soft edge: 1 inside."""
    return np.asarray(silhouette.filter(ImageFilter.BoxBlur(1)), np.float32) / np.float32(255)


def _lay(light: Field, silhouette: Image.Image, inside: Field | np.float32) -> None:
    """Replace the light inside the silhouette."""
    left, top, right, bottom = silhouette.getbbox() or (0, 0, 0, 0)
    box = (
        max(0, left - 2),
        max(0, top - 2),
        min(silhouette.width, right + 2),
        min(silhouette.height, bottom + 2),
    )
    window = (slice(box[1], box[3]), slice(box[0], box[2]))
    share = _soft(silhouette.crop(box))
    light[window] += share * ((inside[window] if isinstance(inside, np.ndarray) else inside) - light[window])


def _coarse(silhouette: Image.Image, blur: float) -> Field:
    """(h, w) in 0..1 at a quarter of the size; `blur` in full-size pixels."""
    small = silhouette.reduce(COARSE).filter(ImageFilter.GaussianBlur(blur / COARSE))
    return np.asarray(small, np.float32) / np.float32(255)


def _full(field: Field, size: tuple[int, int]) -> Field:
    picture = Image.fromarray(field.astype(np.float32))
    return np.array(picture.resize(size, Image.Resampling.BILINEAR))


def _grid(field: Field) -> tuple[Field, Field]:
    """The x and y of each coarse pixel, in full-size pixels."""
    y, x = np.mgrid[: field.shape[0], : field.shape[1]].astype(np.float32) * COARSE
    return x, y


def _mottle(shape: tuple[int, ...], cells: int, rng: np.random.Generator) -> Field:
    """Smooth noise of standard deviation near 1, `cells` bumps across."""
    seeds = rng.standard_normal((max(2, cells * 3 // 4), cells), np.float32)
    picture = Image.fromarray(seeds).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    # Bilinear mixing takes a third of the spread away.
    return np.asarray(picture, np.float32) * np.float32(1.5)


def _near_light(near: Image.Image, rng: np.random.Generator) -> tuple[Field, Field]:
    """Light on the near half and how red its rim is."""
    depth = np.clip((_coarse(near, 52) - 0.46) / 0.5, 0, 1)
    x, y = _grid(depth)
    lamp_x, lamp_y = rng.uniform(240, 420), rng.uniform(70, 140)
    lamp = np.exp(
        -(((x - lamp_x) / rng.uniform(240, 330)) ** 2) - ((y - lamp_y) / rng.uniform(120, 170)) ** 2
    )
    light = 0.56 + 0.40 * depth**0.6 + 0.52 * lamp * depth**0.4
    light -= 0.12 * np.clip((x - 560) / 200, 0, 1)
    light += (0.02 * _mottle(light.shape, 60, rng) + 0.045 * _mottle(light.shape, 9, rng)) * (1.2 - lamp)
    blush = 0.5 * _mottle(light.shape, 9, rng) + 0.3 * _mottle(light.shape, 40, rng)
    redness = np.clip(1 - 1.1 * depth + blush, 0, 1.6) * rng.uniform(0.06, 0.24)
    return light.astype(np.float32), redness.astype(np.float32)


def _far_light(shapes: Silhouettes, rng: np.random.Generator) -> Field:
    depth = np.clip((_coarse(shapes.far, 34) - 0.44) / 0.5, 0, 1)
    x, y = _grid(depth)
    cast, contact = (
        _coarse(ImageChops.offset(shapes.near, 0, drop), blur) for drop, blur in ((34, 40), (6, 14))
    )
    cast[:9], contact[:2] = cast[9], contact[2]  # offset() wraps round
    light = 0.62 + 0.32 * depth**0.6 - rng.uniform(0.12, 0.26) * cast - 0.2 * contact
    light -= 0.36 * np.clip((x - 500) / 260, 0, 1) + 0.14 * np.clip((y - 400) / 150, 0, 1)
    light += 0.14 * np.exp(-(((x - 20) / 170) ** 2)) + 0.03 * _mottle(light.shape, 30, rng)
    lit: Field = np.maximum(light, 0.2).astype(np.float32)
    return lit


def _camera(flat: Image.Image, light: Field, redness: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, white balance and saturation of the day; sensor noise; the clipping that blows highlights."""
    exposure = rng.uniform(1.0, 1.26)
    balance = rng.normal(1, (0.012, 0.012, 0.025))
    vividness = rng.uniform(0.85, 1.2)
    gray = (1 - vividness) * np.array([0.299, 0.587, 0.114])
    matrix = (gray + vividness * np.eye(3)) * balance[:, None] * 0.9  # room for vivid colours below 255
    rows = np.concatenate([matrix, np.zeros((3, 1))], axis=1).ravel().tolist()
    coloured = flat.filter(ImageFilter.BoxBlur(rng.uniform(0.6, 0.9))).convert("RGB", tuple(rows))

    light *= np.float32(exposure / 0.9)
    grain = np.float32(rng.uniform(1.2, 2.6))
    dark_noise = rng.standard_normal(light.shape, np.float32) * grain + np.float32(0.5)
    image = np.empty((*light.shape, 3), np.uint8)
    for channel, plane in enumerate(coloured.split()):
        value = np.asarray(plane, np.float32) * light
        if channel > 0:
            value *= 1 - redness
        value += dark_noise
        image[..., channel] = np.clip(value, 0, 255, out=value)
    return image
