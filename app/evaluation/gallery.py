"""The worst mistakes, drawn: the picture, what spoke for the class it was called, and what for the true one.

predictions -> the surest mistakes -> asked once more -> maps on one scale -> Mistake

Both maps of a picture share their scale, so that the weaker is seen to be weaker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain import EncodedPicture, Geometry
from app.engines.base import Engine
from app.errors import RequestError
from app.evaluation.calibration import probabilities_at
from app.evaluation.labelled import LabelledItem
from app.evaluation.pictures import read_picture
from app.evaluation.predictions import Limits, Predictions, evidence_place
from app.explain.maps import field_of_view
from app.images.decode import decode
from app.images.heat import scale_of
from app.images.overlay import render_overlay
from app.images.preprocess import preprocess

MAX_SIDE: Final = 300
"""Pixels: three beside each other fill a printed page, and twelve mistakes stay below a megabyte."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture that the model called something else, and how sure it was."""

    item: LabelledItem
    predicted_index: int
    probability: float
    """Of the class it was called."""
    true_probability: float
    picture: EncodedPicture
    for_predicted: EncodedPicture | None
    """The class's map on the picture; None for a head that gives none."""
    for_true: EncodedPicture | None


def surest_mistakes(predictions: Predictions, temperature: float, count: int) -> list[int]:
    """Positions of pictures that were called wrong, the surest first."""
    wrong = np.flatnonzero(predictions.predicted != predictions.true)
    sureness = probabilities_at(predictions.logits, temperature).max(axis=1)[wrong]
    return [int(position) for position in wrong[np.argsort(-sureness, kind="stable")][:count]]


def gallery(
    engine: Engine,
    geometry: Geometry,
    predictions: Predictions,
    *,
    temperature: float,
    count: int,
    limits: Limits,
) -> tuple[Mistake, ...]:
    """The `count` surest mistakes; a file that vanished meanwhile is passed over."""
    probabilities = probabilities_at(predictions.logits, temperature)
    found = []
    for position in surest_mistakes(predictions, temperature, count):
        item, predicted = predictions.items[position], int(predictions.predicted[position])
        try:
            pictures = _drawn(engine, geometry, item, (predicted, item.class_index), limits)
        except RequestError:
            continue
        found.append(
            Mistake(
                item,
                predicted,
                float(probabilities[position, predicted]),
                float(probabilities[position, item.class_index]),
                *pictures,
            )
        )
    return tuple(found)


def _drawn(
    engine: Engine, geometry: Geometry, item: LabelledItem, indices: Sequence[int], limits: Limits
) -> tuple[EncodedPicture, EncodedPicture | None, EncodedPicture | None]:
    """The plain picture, and the map of each class on it."""
    data = read_picture(item.path, limits.max_bytes)
    picture = decode(data, geometry=geometry, max_pixels=limits.max_pixels)
    seen = preprocess(picture, geometry.steps)
    output = engine.run(seen.pixels[np.newaxis])
    maps = [output.evidence[0, index] for index in indices]
    place = evidence_place(engine, seen.to_original)
    scale = scale_of(maps, "max")

    def on_picture(heat: NDArray[np.float32], opacity: float) -> EncodedPicture:
        return render_overlay(
            picture,
            heat,
            place.of(heat, engine.target_layer),
            field_of_view(engine.input_size, seen.to_original),
            media_type="image/jpeg",
            scale=scale,
            opacity=opacity,
            max_side=MAX_SIDE,
        )

    plain = on_picture(maps[0], 0.0)
    if engine.evidence_kind == "none":
        return plain, None, None
    return plain, on_picture(maps[0], 0.6), on_picture(maps[1], 0.6)
