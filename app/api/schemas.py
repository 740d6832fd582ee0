"""The HTTP contract's shapes: queries in, replies out. The names here are the names on the wire."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from app import __version__
from app.domain import Method

# --- queries -----------------------------------------------------------------------------------


class PictureQuery(BaseModel):
    """What both addresses take; an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
            description="Answer within this time from when the request's headers are in, or say 504 and drop the work."
        ),
    ] = None


class PredictQuery(PictureQuery):
    """Query of POST /predict."""

    cam: Annotated[bool, Field(description="Also draw the top class's evidence on the picture.")] = False


# --- replies -----------------------------------------------------------------------------------


class Reply(BaseModel):
    """Base of all replies."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True, from_attributes=True)


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
    """Milliseconds; inference includes what a check predicts; total counts from when the request's headers are in, the upload too; queue is waiting of any kind."""

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


class QuantizationReply(Reply):
    """How its 8-bit form differed from float32 when it was made."""

    kind: Literal["int8"]
    images: Annotated[int, Field(description="Pictures that it was calibrated and compared on.")]
    agreement: Annotated[float, Field(description="Share of the compared that get the class of float32.")]
    drift: Annotated[float, Field(description="Largest difference of any probability on them.")]


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
    engine: Literal["torch", "openvino"] | None = None
    """The library that computes."""
    device: Annotated[str | None, Field(description="Those that answer now, with commas between.")] = None
    precision: str | None = None
    quantization: Annotated[
        QuantizationReply | None, Field(description="Of a version that `lineside quantize` made.")
    ] = None
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
    max_deadline_ms: Annotated[int, Field(description="The most that `deadline_ms` may ask for.")]
    version: Annotated[str, Field(description="Of Lineside.")] = __version__


class ReadinessReply(Reply):
    """Whether the server may drive the gate."""

    ready: bool
    reasons: Annotated[
        list[str],
        Field(description="Why not; while ready: models and devices that are out of service all the same."),
    ]


class LivenessReply(Reply):
    """The process runs."""

    live: Literal[True] = True
