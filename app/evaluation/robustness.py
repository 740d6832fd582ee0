"""How predictions change when ink or backdrop is painted over, beside as many random pixels.

labelled items -> [threads: decode, find, paint over, the manifest's steps] -> engine -> PaintedOver

A model that reads the farm's ink or the day's backdrop changes its mind when they go; and more often than when
the same area is painted over elsewhere, which the control does.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.domain import Geometry
from app.engines.base import Engine
from app.errors import RequestError
from app.evaluation.calibration import probabilities_at
from app.evaluation.distractors import Distractors, distractors_of, painted_over, random_blocks, stroke_of
from app.evaluation.labelled import LabelledItem
from app.evaluation.pictures import read_picture
from app.evaluation.predictions import Limits
from app.evaluation.significance import mcnemar
from app.images.decode import Picture, decode
from app.images.preprocess import preprocess

What = Literal["ink", "backdrop"]
LEAST_SHARE: Final[dict[What, float]] = {"ink": 0.0003, "backdrop": 0.02}
"""Of the picture; less is a speck or a shadow."""
SHIFTS: Final = 0.05
"""Mean change of a probability from here on is worth a warning."""

Colour = tuple[float, float, float]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PaintedOver:
    """What painting one thing over did to the pictures that have it."""

    what: What
    looked_at: int
    """Pictures."""
    count: int
    """Of them, those that have it; every figure is of these."""
    area: float
    """Mean share of the picture that was painted over."""
    changed: int
    """Pictures that are called something else now."""
    shift: float
    """Mean absolute change of the probability of the class they were called, 0..1."""
    control_changed: int
    control_shift: float
    """Likewise for as many random pixels."""
    chance: float
    """How often chance alone parts the changed pictures from the control's so far (McNemar)."""

    @property
    def is_leant_on(self) -> bool:
        """Whether predictions hang on it more than on any pixels."""
        more_changed = self.changed > self.control_changed and self.chance < SHIFTS
        return more_changed or (self.shift >= SHIFTS and self.shift >= 2 * self.control_shift)


def paint_over(
    engine: Engine,
    geometry: Geometry,
    items: Sequence[LabelledItem],
    *,
    temperature: float,
    batch_sizes: Sequence[int],
    threads: int,
    limits: Limits,
    on_done: Callable[[int], None] = lambda _count: None,
) -> tuple[PaintedOver, ...]:
    """Ink, then backdrop.

    Ink is replaced by its surroundings. The backdrop becomes one flat colour, the mean of all pictures' backdrops:
    what tells a day by it is gone, and nothing stands there that the model has never seen. Pictures that cannot be
    read are passed over.

    Args:
        engine: warmed for `batch_sizes`, which hold 1.
        geometry: the manifest's.
        items: at least one; every one costs five predictions.
        temperature: the manifest's.
        batch_sizes: the only sizes that run.
        threads: that decode and paint.
        limits: of a picture.
        on_done: told how many more are done; each counts twice.
    """
    geometry = replace(geometry, decode="exact")  # ink is painted over at full size, beside the plain picture

    def decoded(item: LabelledItem) -> Picture | None:
        try:
            data = read_picture(item.path, limits.max_bytes)
            return decode(data, geometry=geometry, max_pixels=limits.max_pixels)
        except RequestError:
            return None

    def looked_at(item: LabelledItem) -> Colour | None:
        picture = decoded(item)
        return None if picture is None else _backdrop_colour(distractors_of(picture.image))

    def variants(item: LabelledItem, colour: Colour | None) -> _Variants | None:
        picture = decoded(item)
        if picture is None:
            return None
        try:
            return _variants(picture, geometry, colour, seed=hashlib.sha256(item.path.name.encode()).digest())
        except RequestError:
            return None

    found: list[_Answers] = []
    read = 0
    with ThreadPoolExecutor(threads, thread_name_prefix="image") as pool:
        colours: list[Colour] = []
        for colour in pool.map(looked_at, items):
            on_done(1)
            if colour is not None:
                colours.append(colour)
        flat: Colour | None = None
        if colours:
            red, green, blue = (float(value) for value in np.mean(colours, axis=0))
            flat = red, green, blue
        step = 2 * max(batch_sizes)
        for start in range(0, len(items), step):  # so that only so many pictures are in memory
            for made in pool.map(lambda item: variants(item, flat), items[start : start + step]):
                on_done(1)
                if made is not None:
                    read += 1
                    logits = _asked(engine, [made.plain, *made.painted.values()], batch_sizes)
                    found.append(
                        _Answers(probabilities_at(logits, temperature), tuple(made.painted), made.areas)
                    )
    return _summary("ink", found, read), _summary("backdrop", found, read)


Part = Literal["truth", "control"]
Key = tuple[What, Part]
"""What was painted over; or as many pixels elsewhere."""


@dataclass(frozen=True, slots=True)
class _Variants:
    plain: Pixels
    painted: dict[Key, Pixels]
    areas: dict[What, float]


@dataclass(frozen=True, slots=True)
class _Answers:
    probabilities: NDArray[np.float64]
    """(1 + len(keys), K), the plain picture first."""
    keys: tuple[Key, ...]
    areas: dict[What, float]


def _backdrop_colour(seen: Distractors) -> Colour | None:
    if seen.backdrop.mean() < LEAST_SHARE["backdrop"]:
        return None
    red, green, blue = (float(value) for value in seen.image[seen.backdrop].mean(axis=0))
    return red, green, blue


def _variants(picture: Picture, geometry: Geometry, flat: Colour | None, *, seed: bytes) -> _Variants:
    """The picture and what is painted over in it, as the network takes them; the same file name gives the same."""
    seen = distractors_of(picture.image)
    random = np.random.default_rng(int.from_bytes(seed[:8], "big"))

    def pixels(image: Image.Image) -> Pixels:
        return preprocess(replace(picture, image=image), geometry.steps).pixels

    painted: dict[Key, Pixels] = {}
    areas: dict[What, float] = {}
    if seen.ink.mean() >= LEAST_SHARE["ink"]:
        areas["ink"] = float(seen.ink.mean())
        elsewhere = random_blocks(seen.flesh, int(seen.ink.sum()), stroke_of(seen.ink), random)
        painted["ink", "truth"] = pixels(painted_over(picture.image, seen.ink))
        painted["ink", "control"] = pixels(painted_over(picture.image, elsewhere))
    if seen.backdrop.mean() >= LEAST_SHARE["backdrop"]:
        areas["backdrop"] = float(seen.backdrop.mean())
        # Single pixels, anywhere: blocks on a quarter of the picture would hide the evidence itself, and with it
        # whatever the backdrop does.
        everywhere = np.ones_like(seen.backdrop)
        dots = random_blocks(everywhere, int(seen.backdrop.sum()), 1, random)
        painted["backdrop", "truth"] = pixels(painted_over(picture.image, seen.backdrop, flat))
        painted["backdrop", "control"] = pixels(painted_over(picture.image, dots, edge_is_soft=False))
    return _Variants(pixels(picture.image), painted, areas)


def _asked(engine: Engine, images: list[Pixels], batch_sizes: Iterable[int]) -> NDArray[np.float32]:
    sizes = sorted(set(batch_sizes), reverse=True)
    logits = []
    while images:
        count = next(size for size in sizes if size <= len(images))
        logits.append(engine.run(np.stack(images[:count])).logits)
        images = images[count:]
    return np.concatenate(logits)


def _summary(what: What, found: Sequence[_Answers], looked_at: int) -> PaintedOver:
    those = [each for each in found if what in each.areas]
    called = [int(each.probabilities[0].argmax()) for each in those]

    def against(part: Part) -> tuple[NDArray[np.bool_], float]:
        rows = [each.probabilities[1 + each.keys.index((what, part))] for each in those]
        changed = np.array([int(row.argmax()) != name for row, name in zip(rows, called, strict=True)], bool)
        shifts = [
            abs(float(row[name] - each.probabilities[0, name]))
            for row, name, each in zip(rows, called, those, strict=True)
        ]
        return changed, float(np.mean(shifts)) if shifts else 0.0

    (changed, shift), (control_changed, control_shift) = against("truth"), against("control")
    return PaintedOver(
        what=what,
        looked_at=looked_at,
        count=len(those),
        area=float(np.mean([each.areas[what] for each in those])) if those else 0.0,
        changed=int(changed.sum()),
        shift=shift,
        control_changed=int(control_changed.sum()),
        control_shift=control_shift,
        chance=mcnemar(changed, control_changed).chance,
    )
