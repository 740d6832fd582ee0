"""What is told of a picture."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.domain.geometry import Affine, Size
from app.domain.networks import EvidenceKind
from app.domain.questions import Align, Channels, Method, Score, View


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights and manifest answered."""

    name: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class of one answer."""

    class_name: str
    class_index: int
    probability: float
    logit: float


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The picture as it was read, after orientation."""

    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds spent in each stage of one request."""

    decode: float = 0.0
    preprocess: float = 0.0
    queue: float = 0.0
    inference: float = 0.0
    render: float = 0.0
    total: float = 0.0

    def in_all(self, total: float) -> "Timings":
        """With the time of the whole request; `dataclasses.replace` would look at every field first."""
        return Timings(self.decode, self.preprocess, self.queue, self.inference, self.render, total)

    def by_stage(self) -> dict[str, float]:
        """Each by its name, in the order above; asdict would copy every number deeply, for every answer."""
        return {
            "decode": self.decode,
            "preprocess": self.preprocess,
            "queue": self.queue,
            "inference": self.inference,
            "render": self.render,
            "total": self.total,
        }


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A finished picture file."""

    media_type: str
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to POST /predict."""

    id: str
    top: ClassScore
    top_k: tuple[ClassScore, ...]
    model: ModelIdentity
    image: ImageFacts
    batch_size: int
    timings: Timings
    warnings: tuple[str, ...]
    cam: EncodedPicture | None


@dataclass(frozen=True, slots=True)
class EvidenceMap:
    """One map over a grid of cells."""

    values: NDArray[np.float32]
    """(rows, cols), in `unit`, signed."""
    bias: float | None
    """What the rule adds to the mean; None where there is no rule."""
    positive_fraction: float
    """Share of cells that speak for the class."""
    status: Literal["ok", "no_positive_evidence"]
    unit: Literal["logit", "probability", "activation"] = "logit"
    rule: Literal["logit = bias + mean(values)", "margin = bias + mean(values)"] | None = (
        "logit = bias + mean(values)"
    )


@dataclass(frozen=True, slots=True)
class ClassMap:
    """One of several classes' maps, in the unit of all."""

    target: ClassScore
    map: EvidenceMap


@dataclass(frozen=True, slots=True)
class LayerMap:
    """One layer's map and where its cells lie."""

    layer: str
    map: EvidenceMap
    cell_to_picture: Affine


@dataclass(frozen=True, slots=True)
class FeatureMaps:
    """The channels of one layer that contribute most and where their cells lie."""

    channels: Channels
    cell_to_picture: Affine


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to POST /explain, beside its prediction."""

    method: Method
    kind: EvidenceKind
    """Of the model's evidence."""
    equivalent_to: tuple[Method, ...]
    layer: str
    target: ClassScore
    map: EvidenceMap
    cell_to_picture: Affine
    """From grid coordinates (0.0 is the outer edge of the first cell) to the picture's pixels."""
    cell_to_input: Affine
    """From grid coordinates to the network's input pixels."""
    align: Align
    """How the cells were laid."""
    field_of_view: tuple[float, float, float, float]
    """What the network saw of the picture, x0, y0, x1, y1 in its pixels."""
    input_size: Size
    score: Score = "logit"
    against: ClassScore | None = None
    view: View = "input"
    classes: tuple[ClassMap, ...] = ()
    layers_method: Method | None = None
    layers: tuple[LayerMap, ...] = ()
    feature_maps: FeatureMaps | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether the map's rule holds, with a bias that is the same for every picture."""
        return self.kind == "exact" and self.map.rule is not None
