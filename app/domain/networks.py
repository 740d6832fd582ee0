"""What a servable is built from, and what a server must know of it."""

from dataclasses import dataclass, field
from typing import Literal

from app.domain.geometry import Size
from app.domain.questions import Method

EvidenceKind = Literal["exact", "gradient", "none"]
"""exact: logit = bias + mean(evidence) with a constant bias; gradient: through the head alone, the bias
depends on the image; none: the head gives no map."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Where the cells of a trunk's grid look on the network's input, in its pixels."""

    stride: float
    """From one cell's centre to the next."""
    first_centre: float
    """From the input's edge to the centre of the first."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """(pixel * scale - mean) / std per channel, after the channels are put in this order."""

    channels: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0 / 255.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class LinearHead:
    """Average pooling, then one linear layer; a dropout before it changes nothing when serving."""


@dataclass(frozen=True, slots=True)
class MlpHead:
    """Average pooling, then linear layers with ReLU between; dropouts change nothing when serving."""

    hidden: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ConvCamHead:
    """Convolution without padding and ReLU, average pooling, one linear layer (the carcass model)."""

    kernel_size: int = 3
    channels: int | None = None
    """Output channels of the convolution; None: as many as there are classes."""


@dataclass(frozen=True, slots=True)
class FlattenHead:
    """Average pooling to `cells` x `cells`, flattened, then linear layers with ReLU between (AlexNet, VGG)."""

    cells: int
    hidden: tuple[int, ...] = ()
    """Empty: one linear layer over all cells."""


@dataclass(frozen=True, slots=True)
class ConcatPoolHead:
    """Maximum and average pooling side by side, in this order, then linear layers with ReLU between (fastai)."""

    hidden: tuple[int, ...] = ()
    """Empty: one linear layer over both."""


@dataclass(frozen=True, slots=True)
class OwnHead:
    """The architecture's own last layers as its library builds them, for this many classes."""


HeadSpec = LinearHead | MlpHead | ConvCamHead | FlattenHead | ConcatPoolHead | OwnHead


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Everything but the weights that a servable network is built from."""

    architecture: str
    class_count: int
    input_size: Size
    head: HeadSpec = field(default_factory=LinearHead)
    normalisation: Normalisation = field(default_factory=Normalisation)


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What a server must know of a network besides its graph, to run it without building it from its parts."""

    input_size: Size
    class_count: int
    evidence_kind: EvidenceKind
    evidence_methods: tuple[Method, ...]
    """What the evidence is called, up to a constant factor; the first is its own name."""
    margin_cells: float
    """Cells of the trunk's grid by which the evidence grid lies inside it, on each side."""
    target_layer: str
    """Whose cells the evidence's cells are."""
    layers: tuple[str, ...]
    """Those that a probe can ask for, from the picture on."""
    cells: Cells | None
    """Where the trunk's cells look on the input; None where the head resamples its grid."""
    bias: tuple[float, ...] | None
    """What the mean of the evidence lacks to the logits, one a class; None where it depends on the picture."""
