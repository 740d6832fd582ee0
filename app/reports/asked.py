"""A proved model, and how it is asked in a report.

Proved + the layers that are wanted -> Asked; one image's logits and evidence -> scores, Explanation

Several models are compared by the names of their classes, whatever the order of their outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.bundles.problems import listed
from app.bundles.repository import Bundle
from app.domain import Affine, ClassScore, Explanation, Probed, Size
from app.engines.base import Engine
from app.errors import InferenceFailed, InvalidRequest
from app.explain.explanation import Place, Said, explain
from app.explain.maps import softmax
from app.explain.plan import Plan, Question, planned
from app.images.decode import Picture, decode
from app.images.preprocess import preprocess
from app.serving.abilities import abilities_of
from app.wiring import Proved


@dataclass(frozen=True, slots=True)
class Taken:
    """What a network takes of a picture; the picture itself may be let go."""

    pixels: NDArray[np.uint8]
    """(h, w, 3)."""
    to_picture: Affine
    """From these pixels to the picture's."""
    size: Size
    """Of the picture."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One picture as one model reads it."""

    picture: Picture
    taken: Taken


@dataclass(frozen=True, slots=True)
class Asked:
    """One model of a report."""

    bundle: Bundle
    engine: Engine
    golden: str | None
    """What its golden images said on this machine; None where it has none."""
    plan: Plan | None
    """Of its own map; None where its head gives none."""
    plan_of_layers: Plan | None
    """The same with maps of layers; None where none are wanted or can be had."""

    @property
    def name(self) -> str:
        """As in the model repository."""
        return f"{self.bundle.name}/{self.bundle.version}"

    def decode(self, data: bytes, *, max_pixels: int) -> Picture:
        """As the manifest reads pictures; errors as `app.images.decode.decode`."""
        return decode(data, geometry=self.bundle.geometry, max_pixels=max_pixels)

    def prepare(self, picture: Picture) -> Prepared:
        """By the manifest's steps; errors as `preprocess`."""
        prepared = preprocess(picture, self.bundle.geometry.steps)
        size = Size(picture.height, picture.width)
        return Prepared(picture, Taken(prepared.pixels, prepared.to_original, size))

    def scores(self, logits: NDArray[np.float32]) -> tuple[ClassScore, ...]:
        """All classes, the most probable first; equal logits in class order."""
        if not np.isfinite(logits).all():
            raise InferenceFailed(
                f"{self.name} answered with numbers that are not finite; lineside verify shows where"
            )
        probabilities = self.probabilities(logits)
        return tuple(
            ClassScore(self.bundle.classes[i], int(i), float(probabilities[i]), float(logits[i]))
            for i in np.argsort(-logits, kind="stable")
        )

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """(K,), calibrated as the server's."""
        return softmax(logits / self.bundle.manifest.calibration.temperature)

    def explained(
        self,
        plan: Plan,
        taken: Taken,
        logits: NDArray[np.float32],
        evidence: NDArray[np.float32],
        probed: Probed | None = None,
    ) -> Explanation:
        """The map of the predicted class, and of layers where the plan has them."""
        engine = self.engine
        return explain(
            plan,
            Said(logits, evidence, probed, self.scores(logits)),
            Place(
                Size(*taken.pixels.shape[:2]),
                taken.to_picture,
                engine.margin_cells,
                engine.target_layer,
                engine.cells,
            ),
            engine.evidence_kind,
        )


def asked(proved: Proved, *, layers: str | None = None) -> Asked:
    """How this model is to be asked.

    Raises:
        InvalidRequest: a layer that it has not, with those that it has.
    """
    bundle, engine, golden = proved.bundle, proved.engine, proved.proof.golden
    abilities = abilities_of(bundle, engine)
    has_map = engine.evidence_kind != "none"
    can_layers = has_map and layers is not None and bool(abilities.probe_methods)
    try:
        return Asked(
            bundle,
            engine,
            None if golden is None else golden.message,
            planned(Question(), abilities) if has_map else None,
            planned(Question(layers=layers), abilities) if can_layers else None,
        )
    except InvalidRequest as error:
        raise InvalidRequest(f"{bundle.name}/{bundle.version}: {error.message}") from error


def shared_classes(bundles: Sequence[Bundle]) -> tuple[str, ...]:
    """The classes that all of them tell apart, in the first one's order.

    Raises:
        InvalidRequest: they are not the same.
    """
    first, *others = bundles
    for other in others:
        if set(other.classes) != set(first.classes):
            raise InvalidRequest(
                f"{first.name}/{first.version} knows {listed(first.classes)}, {other.name}/{other.version} knows "
                f"{listed(other.classes)}: only models of the same classes can be compared; make a report of each"
            )
    return first.classes
