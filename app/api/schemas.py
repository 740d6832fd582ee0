"""The HTTP contract's shapes: queries in, replies out. The names here are the names on the wire."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from app import __version__
from app.domain import EvidenceKind, Method, Score, View
from app.explain.plan import MOST_CHANNELS

# --- queries -----------------------------------------------------------------------------------


class PictureQuery(BaseModel):
    """What both addresses take; an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str | None, Field(description="Name of the model; needed where several are served.")] = (
        None
    )
    version: Annotated[
        PositiveInt | None, Field(description="Version of the model; the default is the highest.")
    ] = None
    top_k: Annotated[PositiveInt, Field(description="How many classes to return.")] = 3
    deadline_ms: Annotated[
        PositiveInt | None,
        Field(
            description="Answer within this time from the request's first byte, or say 504 and drop the work."
        ),
    ] = None


class PredictQuery(PictureQuery):
    """Query of POST /predict."""

    cam: Annotated[bool, Field(description="Also draw the top class's evidence on the picture.")] = False


class ExplainQuery(PictureQuery):
    """Query of POST /explain."""

    target: Annotated[
        str | None, Field(description="Class to explain, by name or index; the default is the predicted one.")
    ] = None
    method: Annotated[
        Method | None,
        Field(
            description="How the map is made; the default is the model's own evidence, `cam` for most. "
            "`GET /models/{name}` lists what a model can give. With `layers`: how the layers' maps are made, "
            "`layercam` (default), `hirescam` or `gradcam`."
        ),
    ] = None
    score: Annotated[
        Score,
        Field(description="What of the target is explained: its logit, or its probability to first order."),
    ] = "logit"
    against: Annotated[
        str | None,
        Field(
            description="Another class, by name or index: the map then splits the margin between the target's "
            "logit and this one's; what speaks for both cancels."
        ),
    ] = None
    classes: Annotated[
        str | None,
        Field(
            description="`all`, `topN` (`top3`) or classes with commas between: one map for each, on one scale."
        ),
    ] = None
    layers: Annotated[
        str | None,
        Field(
            description="`all`, or layers with commas between: a map of each, for one forward and one backward "
            "pass. `GET /models/{name}` lists them."
        ),
    ] = None
    feature_maps: Annotated[
        str | None,
        Field(
            description="A layer: its channels that contribute most to the target, with their activations."
        ),
    ] = None
    k: Annotated[
        int | None, Field(ge=1, le=MOST_CHANNELS, description="How many feature maps; 16 when not given.")
    ] = None
    view: Annotated[
        View,
        Field(
            description="`full`: the map of the whole picture, at the manifest's scale but without its crops. The "
            "target's numbers are then those of the whole picture; the prediction stays the plain one."
        ),
    ] = "input"
    format: Annotated[
        Literal["jpeg", "png", "webp"], Field(description="Of the overlay inside a JSON reply.")
    ] = "jpeg"
    colormap: Annotated[
        Literal["inferno", "viridis", "cividis", "jet"], Field(description="Colours of the heat map.")
    ] = "inferno"
    normalization: Annotated[
        Literal["max", "minmax", "signed"],
        Field(
            description="max: positive evidence over its maximum, zero stays zero; minmax: as most libraries draw; "
            "signed: for and against, diverging colours."
        ),
    ] = "max"
    opacity: Annotated[
        float, Field(ge=0, le=1, description="Of the strongest evidence; 0 gives the plain picture.")
    ] = 0.6


# --- replies -----------------------------------------------------------------------------------


class Reply(BaseModel):
    """Base of all replies."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class ClassScoreReply(Reply):
    """One class of one answer."""

    class_name: Annotated[str, Field(alias="class")]
    class_index: int
    probability: float
    logit: float


class ModelReply(Reply):
    """Which weights and manifest answered."""

    name: str
    version: int
    digest: Annotated[str, Field(description="SHA-256 over manifest and weights.")]


class ImageReply(Reply):
    """The picture as it was read."""

    width: int
    height: int
    format: str


class PictureReply(Reply):
    """A finished picture."""

    media_type: str
    width: int
    height: int
    data: Annotated[str, Field(description="Base64.")]


class TimingsReply(Reply):
    """Milliseconds; total counts from the request's first byte, queue is waiting of any kind."""

    decode: float
    preprocess: float
    queue: float
    inference: float
    render: float
    total: float


PREDICTION_EXAMPLE: dict[str, Any] = {
    "id": "01KAMZ1X7Q3C9V6J8D2R4T5W6Y",
    "class": "boar",
    "class_index": 1,
    "probability": 0.9973,
    "top_k": [{"class": "boar", "class_index": 1, "probability": 0.9973, "logit": 8.41}],
    "model": {"name": "pig-sex", "version": 1, "digest": "sha256:9f2c..."},
    "image": {"width": 768, "height": 574, "format": "TIFF"},
    "cam": None,
    "batch_size": 4,
    "timings_ms": {
        "decode": 4.9,
        "preprocess": 1.6,
        "queue": 2.0,
        "inference": 11.8,
        "render": 0.0,
        "total": 20.9,
    },
    "warnings": [],
}


class PredictionReply(Reply):
    """The answer to POST /predict."""

    model_config = ConfigDict(json_schema_extra={"examples": [PREDICTION_EXAMPLE]})

    id: str
    class_name: Annotated[str, Field(alias="class")]
    class_index: int
    probability: float
    top_k: list[ClassScoreReply]
    model: ModelReply
    image: ImageReply
    cam: PictureReply | None
    batch_size: Annotated[int, Field(description="How many images shared the forward pass.")]
    timings_ms: TimingsReply
    warnings: list[str]


class TargetReply(ClassScoreReply):
    """The class that is explained; with `view=full`, its numbers on the whole picture."""

    score: Annotated[
        Literal["logit", "probability", "margin"], Field(description="What the map is a map of.")
    ]
    against: Annotated[
        ClassScoreReply | None, Field(description="The class whose logit the margin takes off.")
    ] = None


class GridReply(Reply):
    """The map: numbers, one per cell, signed."""

    shape: tuple[int, int]
    values: list[list[float]]
    unit: Annotated[
        Literal["logit", "probability", "activation"],
        Field(
            description="activation: of `eigencam`, which is of no class. The mean of a map in logit or probability "
            "is what its layer contributes, to first order."
        ),
    ]
    bias: Annotated[float | None, Field(description="null where there is no rule.")]
    rule: Annotated[
        Literal["logit = bias + mean(values)", "margin = bias + mean(values)"] | None,
        Field(description="What the numbers add up to; null where a method keeps only a part of them."),
    ]
    positive_fraction: Annotated[float, Field(description="Share of cells that speak for the class.")]
    status: Annotated[
        Literal["ok", "no_positive_evidence"],
        Field(description="no_positive_evidence: nothing to draw; the numbers say what speaks against."),
    ]


CellToOriginal = Annotated[
    tuple[float, float, float, float],
    Field(
        description="[scale_x, offset_x, scale_y, offset_y]: cell (row, column) begins at "
        "x = scale_x * column + offset_x, y = scale_y * row + offset_y in the picture's pixels."
    ),
]


class GeometryReply(Reply):
    """Where the map lies on the picture."""

    input: Annotated[tuple[int, int], Field(description="Network input, [height, width].")]
    original: Annotated[tuple[int, int], Field(description="Picture, [height, width].")]
    cell_to_original: CellToOriginal
    field_of_view: Annotated[
        tuple[float, float, float, float],
        Field(description="What the network saw of the picture: [x0, y0, x1, y1] in its pixels."),
    ]


class ClassMapReply(Reply):
    """One class's map."""

    target: ClassScoreReply
    grid: GridReply


class ClassMapsReply(Reply):
    """Maps of several classes, comparable number by number."""

    scale: Annotated[
        float, Field(description="The largest absolute value in any of them; draw all of them against it.")
    ]
    maps: list[ClassMapReply]


class LayerMapReply(Reply):
    """One layer's map and where its cells lie."""

    layer: str
    grid: GridReply
    cell_to_original: CellToOriginal


class LayerMapsReply(Reply):
    """Maps by depth, from the picture on."""

    method: Method
    maps: list[LayerMapReply]


class ChannelReply(Reply):
    """One feature map."""

    channel: Annotated[int, Field(description="Its index in the layer.")]
    contribution: Annotated[
        float,
        Field(
            description="Gradient times activation over all cells, in the target's unit; at the last layer of an "
            "averaging head the weight times the pooled activation."
        ),
    ]
    values: Annotated[list[list[float]], Field(description="Its activations.")]


class FeatureMapsReply(Reply):
    """The channels of one layer that contribute most, the strongest first."""

    layer: str
    shape: tuple[int, int]
    channel_count: Annotated[int, Field(description="Of the whole layer.")]
    total: Annotated[float, Field(description="What all of the layer's channels contribute.")]
    channels: list[ChannelReply]
    cell_to_original: CellToOriginal


class ExplanationReply(Reply):
    """Why."""

    method: Method
    evidence: Annotated[
        EvidenceKind,
        Field(
            description="The model's own: exact, the rule holds with a constant bias; gradient, through the head alone."
        ),
    ]
    exact: Annotated[
        bool, Field(description="The grid's rule holds, with a bias that is the same for every picture.")
    ]
    equivalent_to: Annotated[
        list[Method], Field(description="Methods that give this very map here, up to a constant factor.")
    ]
    layer: Annotated[str, Field(description="Whose cells the grid's cells are.")]
    view: View
    target: TargetReply
    grid: GridReply
    geometry: GeometryReply
    classes: Annotated[ClassMapsReply | None, Field(description="When `classes` were asked for.")]
    layers: Annotated[LayerMapsReply | None, Field(description="When `layers` were asked for.")]
    feature_maps: Annotated[FeatureMapsReply | None, Field(description="When `feature_maps` were asked for.")]
    warnings: list[str]


class ExplainReply(PredictionReply):
    """The answer to POST /explain: the prediction, its overlay in `cam`, and the explanation."""

    explanation: ExplanationReply


class ProblemReply(Reply):
    """RFC 9457 problem document."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(description="Stable; what programs should look at.")]
    id: str


class GoldenReply(Reply):
    """What the model's golden images said on this machine."""

    images: int
    max_probability_difference: float
    tolerance: float


class ModelDescription(Reply):
    """One version of one model."""

    name: str
    version: int
    is_default: Annotated[bool, Field(description="Answers when a request names no version.")]
    state: Literal["loading", "ready", "refused"]
    reason: Annotated[str | None, Field(description="Why it cannot answer just now.")]
    digest: str | None = None
    title: str | None = None
    notice: str | None = None
    architecture: str | None = None
    classes: list[str] | None = None
    display: Annotated[
        dict[str, dict[str, str]] | None, Field(description="Labels by language and class.")
    ] = None
    input: Annotated[tuple[int, int] | None, Field(description="[height, width]")] = None
    evidence: Literal["exact", "gradient", "none"] | None = None
    methods: Annotated[
        list[Method] | None,
        Field(description="What `method` of /explain may name; the first is the default."),
    ] = None
    layers: Annotated[
        list[str] | None, Field(description="What `layers` and `feature_maps` of /explain may name.")
    ] = None
    can_view_full: Annotated[bool | None, Field(description="Whether `view=full` is answered.")] = None
    sum_rule_error: float | None = None
    device: str | None = None
    precision: str | None = None
    latency_ms: Annotated[dict[int, float] | None, Field(description="One forward pass, by batch size.")] = (
        None
    )
    golden: GoldenReply | None = None
    golden_images: Annotated[list[str], Field(description="Addresses of its golden images.")] = []
    warnings: list[str] = []


class ModelsReply(Reply):
    """The model repository as this server sees it."""

    models: list[ModelDescription]
    notes: list[str]
    version: Annotated[str, Field(description="Of Lineside.")] = __version__


class ReadinessReply(Reply):
    """Whether the server may drive the gate."""

    ready: bool
    reasons: list[str]


class LivenessReply(Reply):
    """The process runs."""

    live: Literal[True] = True
