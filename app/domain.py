"""Values that cross rooms: frozen dataclasses, no behaviour beyond arithmetic on themselves.

Sizes are (height, width) in pixels. Coordinates are continuous: 0.0 is the outer edge of the first
pixel, so a pixel's centre is at index + 0.5.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Decoding = Literal["exact", "scaled"]
"""exact: every pixel, as training saw it; scaled: a large JPEG at 1/2, 1/4 or 1/8, where the first resize still gets at
least twice the pixels it needs along each side."""
Anchor = Literal[
    "center", "top_left", "top", "top_right", "left", "right", "bottom_left", "bottom", "bottom_right"
]
EvidenceKind = Literal["exact", "gradient", "none"]
"""exact: logit = bias + mean(evidence) with a constant bias; gradient: through the head alone, the bias
depends on the image; none: the head gives no map."""
Method = Literal["cam", "gradcam", "hirescam", "xgradcam", "gradcam++", "layercam", "eigencam"]
"""How a map is made; docs/explanations.md says what each means."""
Score = Literal["logit", "probability"]
"""What of a class a map explains."""
View = Literal["input", "full"]
"""input: what the manifest's steps leave of a picture; full: all of it, at the same scale."""
Align = Literal["receptive_field", "half_pixel"]
"""receptive_field: every cell at the centre of what it looks at; half_pixel: the grid laid over the whole input, as
CAM libraries draw it. docs/adr/0005 has what was measured."""
Check = Literal["none", "cover", "full"]
"""cover: is the first region's evidence needed? full: deletion and insertion curves besides."""


@dataclass(frozen=True, slots=True)
class Size:
    """Height and width in pixels (or in cells, where it says so)."""

    height: int
    width: int


# --- geometry: what happens to 8-bit pixels, in the manifest's order ---------------------------


@dataclass(frozen=True, slots=True)
class Resize:
    """To exactly this size; the aspect ratio is not kept."""

    size: Size
    interpolation: Interpolation


@dataclass(frozen=True, slots=True)
class ResizeShorter:
    """Shorter side to `shorter` pixels; the longer is truncated to whole pixels, as torchvision does."""

    shorter: int
    interpolation: Interpolation


@dataclass(frozen=True, slots=True)
class Crop:
    """A window of fixed size; where the image is smaller, it is padded with black as torchvision does."""

    size: Size
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class CropBox:
    """A window given as fractions of the image at that step, 0 <= x0 < x1 <= 1."""

    x0: float
    y0: float
    x1: float
    y1: float


Step = Resize | ResizeShorter | Crop | CropBox


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a decoded picture becomes the (h, w, 3) uint8 image that a model takes."""

    steps: tuple[Step, ...]
    orientation: Literal["ignore", "apply"] = "ignore"
    alpha_background: tuple[int, int, int] = (255, 255, 255)
    """The colour under transparent pixels, RGB."""
    decode: Decoding = "exact"


@dataclass(frozen=True, slots=True)
class Affine:
    """Axis-aligned map from one pixel frame to another: x' = scale_x * x + offset_x, likewise y."""

    scale_x: float = 1.0
    offset_x: float = 0.0
    scale_y: float = 1.0
    offset_y: float = 0.0

    def then(self, after: "Affine") -> "Affine":
        """The map that applies self first and `after` second."""
        return Affine(
            scale_x=after.scale_x * self.scale_x,
            offset_x=after.scale_x * self.offset_x + after.offset_x,
            scale_y=after.scale_y * self.scale_y,
            offset_y=after.scale_y * self.offset_y + after.offset_y,
        )

    def reach(
        self, rows: int, columns: int, seen: tuple[float, float, float, float]
    ) -> tuple[float, float, float, float]:
        """Where a grid laid by this map ends, in what is drawn of it and in what is said of it.

        A cell ends half-way to where the next one would be, but not beyond what the network saw. Where that
        leaves less than half a cell to the border of what was seen, the outer cells reach to the border, since
        no other cell is nearer to it.

        Args:
            rows: of the grid.
            columns: of the grid.
            seen: x0, y0, x1, y1 in the frame that the map leads to.

        Returns:
            x0, y0, x1, y1 in cells; 0, 0, columns, rows to the last bit where the grid fills what was seen.
        """
        x0, x1 = (seen[0] - self.offset_x) / self.scale_x, (seen[2] - self.offset_x) / self.scale_x
        y0, y1 = (seen[1] - self.offset_y) / self.scale_y, (seen[3] - self.offset_y) / self.scale_y
        return (
            x0 if _reaches(-x0) else 0.0,
            y0 if _reaches(-y0) else 0.0,
            x1 if _reaches(x1 - columns) else float(columns),
            y1 if _reaches(y1 - rows) else float(rows),
        )


_ROUNDING_CELLS = 1e-9
"""What separates two ends by less is rounding: frames are products of a few scales and offsets."""


def _reaches(missing_cells: float) -> bool:
    """Whether an outer cell ends at the border instead, to which so much is missing (negative: too much)."""
    return missing_cells < 0.5 - _ROUNDING_CELLS and abs(missing_cells) > _ROUNDING_CELLS


@dataclass(frozen=True, slots=True)
class Cells:
    """Where the cells of a trunk's grid look on the network's input, in its pixels."""

    stride: float
    """From one cell's centre to the next."""
    first_centre: float
    """From the input's edge to the centre of the first."""


@dataclass(frozen=True, slots=True)
class RegionOfInterest:
    """Where evidence is expected, as fractions of the whole picture, 0 <= x0 < x1 <= 1, likewise y."""

    x0: float
    y0: float
    x1: float
    y1: float


# --- network: what a servable is built from ----------------------------------------------------


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


# --- questions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """The one number, of those that the network says of a picture, which is explained."""

    class_index: int | None = None
    """None: the predicted class."""
    score: Score = "logit"
    against: int | None = None
    """Another class: its logit is taken off, and what is explained is the margin between the two."""
    temperature: float = 1.0
    """Of the probability: softmax(logits / temperature)."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one image is asked beyond logits and evidence."""

    target: Target = field(default_factory=Target)
    method: Method = "layercam"
    layers: tuple[str, ...] = ()
    """A map of each is wanted."""
    channels_of: str | None = None
    """The channels of this layer that contribute most are wanted."""
    channel_count: int = 16


@dataclass(frozen=True, slots=True)
class Channels:
    """A layer's feature maps that speak most for the target, the strongest first."""

    layer: str
    indices: NDArray[np.int64]
    """(k,)"""
    contributions: NDArray[np.float32]
    """(k,): gradient times activation, summed over the cells; in the target's units."""
    values: NDArray[np.float32]
    """(k, rows, cols): the activations."""
    total: float
    """Contributions of all the layer's channels."""
    count: int
    """Of all the layer's channels."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found."""

    maps: tuple[NDArray[np.float32], ...]
    """(rows, cols) for each of its layers."""
    channels: Channels | None = None


# --- answers -----------------------------------------------------------------------------------


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

    def by_stage(self) -> dict[str, float]:
        """Each by its name; asdict would copy every number deeply, for every answer."""
        return {stage: getattr(self, stage) for stage in self.__slots__}


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
