"""The tables of model.toml as types: what may stand in each, and what it is to the other rooms.

a table of TOML -> one of these, or pydantic's ValidationError -> spec() for the networks, step() for the images

Knows nothing of the file around them (manifest.py) or of its text (manifest_text.py).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    ValidationInfo,
    field_validator,
)

from app.bundles.files import one_line
from app.bundles.problems import listed, nearest
from app.domain import (
    Anchor,
    ConcatPoolHead,
    ConvCamHead,
    Crop,
    CropBox,
    Decoding,
    FlattenHead,
    HeadSpec,
    Interpolation,
    LinearHead,
    MlpHead,
    OwnHead,
    Resize,
    ResizeShorter,
    Size,
    Step,
)

# --- the vocabulary of values ------------------------------------------------------------------


def _fraction(value: object) -> object:
    """A number from "1/255"; 0.00392156862745098 says the same, but nobody can check it by eye."""
    if not isinstance(value, str):
        return value
    parts = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,12})?)\s*/\s*(\d{1,12}(?:\.\d{1,12})?)\s*", value, re.ASCII)
    if parts is None or float(parts[2]) == 0.0:
        raise ValueError('write a number, or a fraction such as "1/255"')
    return float(parts[1]) / float(parts[2])


def _odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError("must be odd")
    return number


def _has_an_inside(box: tuple[float, ...]) -> tuple[float, ...]:
    x0, y0, x1, y1 = box
    if not (x0 < x1 and y0 < y1):
        raise ValueError("[x0, y0, x1, y1] needs x0 < x1 and y0 < y1, as fractions of width and height")
    return box


Finite = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[float, Strict(), Field(allow_inf_nan=False, gt=0)]
Fraction = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0, le=1)]
Pixels = Annotated[int, Strict(), Field(ge=1, le=4096)]
Width = Annotated[int, Strict(), Field(ge=1, le=65536)]
Grey = Annotated[int, Strict(), Field(ge=0, le=255)]
Line = Annotated[str, Strict(), Field(min_length=1, max_length=255), AfterValidator(one_line)]
Text = Annotated[str, Strict(), Field(min_length=1, max_length=10_000)]
Dropout = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0, lt=1)]
# Strict(False): TOML has lists, not tuples. The lengths are bounds, not types, so that the message counts.
PixelSize = Annotated[tuple[Pixels, ...], Strict(False), Field(min_length=2, max_length=2)]
FractionBox = Annotated[
    tuple[Fraction, ...],
    Strict(False),
    Field(min_length=4, max_length=4),
    AfterValidator(_has_an_inside),
]


class Table(BaseModel):
    """A TOML table: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


# --- [head] ------------------------------------------------------------------------------------


class LinearHeadTable(Table):
    """Average pooling and one linear layer."""

    kind: Literal["linear"] = "linear"
    dropout: Dropout | None = None
    """What training used; changes nothing when serving."""

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return LinearHead()


class MlpHeadTable(Table):
    """Average pooling and linear layers with ReLU between."""

    kind: Literal["mlp"] = "mlp"
    hidden: Annotated[tuple[Width, ...], Strict(False), Field(min_length=1, max_length=8)]
    dropout: Dropout | None = None
    """What training used; changes nothing when serving."""

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return MlpHead(hidden=self.hidden)


class ConvCamHeadTable(Table):
    """Convolution and ReLU, average pooling, one linear layer."""

    kind: Literal["conv_cam"] = "conv_cam"
    kernel_size: Annotated[int, Strict(), Field(ge=1, le=31), AfterValidator(_odd)] = 3
    channels: Width | None = None

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return ConvCamHead(kernel_size=self.kernel_size, channels=self.channels)


class FlattenHeadTable(Table):
    """Average pooling to a grid, every cell kept apart, and linear layers with ReLU between."""

    kind: Literal["flatten_mlp"] = "flatten_mlp"
    cells: Annotated[int, Strict(), Field(ge=1, le=32)]
    hidden: Annotated[tuple[Width, ...], Strict(False), Field(max_length=8)] = ()
    dropout: Dropout | None = None
    """What training used; changes nothing when serving."""

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return FlattenHead(cells=self.cells, hidden=self.hidden)


class ConcatPoolHeadTable(Table):
    """Maximum and average pooling side by side, and linear layers with ReLU between."""

    kind: Literal["concat_pool_mlp"] = "concat_pool_mlp"
    hidden: Annotated[tuple[Width, ...], Strict(False), Field(max_length=8)] = ()
    dropout: Dropout | None = None
    """What training used; changes nothing when serving."""

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return ConcatPoolHead(hidden=self.hidden)


class OwnHeadTable(Table):
    """The architecture's own last layers, as its library builds them for this many classes."""

    kind: Literal["own"] = "own"

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return OwnHead()


HEAD_TABLES: dict[str, type[Table]] = {
    "linear": LinearHeadTable,
    "mlp": MlpHeadTable,
    "conv_cam": ConvCamHeadTable,
    "flatten_mlp": FlattenHeadTable,
    "concat_pool_mlp": ConcatPoolHeadTable,
    "own": OwnHeadTable,
}


def _head_tag(head: object) -> str:
    if not isinstance(head, Mapping | Table):
        return "head:linear"  # whose message says that a table is needed
    kind = head.get("kind", "linear") if isinstance(head, Mapping) else getattr(head, "kind", "linear")
    return f"head:{kind}" if isinstance(kind, str) and kind in HEAD_TABLES else "head:"


HeadTable = Annotated[
    Annotated[LinearHeadTable, Tag("head:linear")]
    | Annotated[MlpHeadTable, Tag("head:mlp")]
    | Annotated[ConvCamHeadTable, Tag("head:conv_cam")]
    | Annotated[FlattenHeadTable, Tag("head:flatten_mlp")]
    | Annotated[ConcatPoolHeadTable, Tag("head:concat_pool_mlp")]
    | Annotated[OwnHeadTable, Tag("head:own")],
    Discriminator(_head_tag, custom_error_type="unknown_kind", custom_error_message="unknown kind"),
]

# --- [preprocess] ------------------------------------------------------------------------------


class ResizeTable(Table):
    """{ resize = [height, width], interpolation = "..." }."""

    resize: PixelSize
    interpolation: Interpolation

    def step(self) -> Step:
        """As the images know it."""
        height, width = self.resize
        return Resize(Size(height, width), self.interpolation)


class ResizeShorterTable(Table):
    """{ resize_shorter = 256, interpolation = "..." }."""

    resize_shorter: Pixels
    interpolation: Interpolation

    def step(self) -> Step:
        """As the images know it."""
        return ResizeShorter(self.resize_shorter, self.interpolation)


class CropTable(Table):
    """{ crop = [height, width], anchor = "..." }."""

    crop: PixelSize
    anchor: Anchor

    def step(self) -> Step:
        """As the images know it."""
        height, width = self.crop
        return Crop(Size(height, width), self.anchor)


class CropBoxTable(Table):
    """{ crop_box = [x0, y0, x1, y1] }, fractions of the image at that step."""

    crop_box: FractionBox

    def step(self) -> Step:
        """As the images know it."""
        x0, y0, x1, y1 = self.crop_box
        return CropBox(x0, y0, x1, y1)


STEP_TABLES: dict[str, type[Table]] = {
    "resize": ResizeTable,
    "resize_shorter": ResizeShorterTable,
    "crop": CropTable,
    "crop_box": CropBoxTable,
}


def _step_tag(step: object) -> str:
    """Which table a step is meant to be; a misspelt one is guessed, so that its keys are judged fairly."""
    if not isinstance(step, Mapping):
        return next(
            (f"step:{name}" for name, table in STEP_TABLES.items() if isinstance(step, table)), "step:"
        )
    for name in STEP_TABLES:
        if name in step:
            return f"step:{name}"
    guesses = [guess for key in step if (guess := nearest(str(key), STEP_TABLES))]
    return f"step:{guesses[0]}" if guesses else "step:"


StepTable = Annotated[
    Annotated[ResizeTable, Tag("step:resize")]
    | Annotated[ResizeShorterTable, Tag("step:resize_shorter")]
    | Annotated[CropTable, Tag("step:crop")]
    | Annotated[CropBoxTable, Tag("step:crop_box")],
    Discriminator(
        _step_tag,
        custom_error_type="not_a_step",
        custom_error_message=f"a table with one of {listed(STEP_TABLES)}",
    ),
]


class PreprocessTable(Table):
    """Exactly what training did to a picture, in this order."""

    orientation: Literal["ignore", "apply"] = "ignore"
    channels: Literal["RGB", "BGR"] = "RGB"
    alpha_background: Annotated[tuple[Grey, ...], Strict(False), Field(min_length=3, max_length=3)] = (
        255,
        255,
        255,
    )
    steps: Annotated[tuple[StepTable, ...], Strict(False), Field(min_length=1, max_length=16)]
    decode: Decoding = "exact"
    """How the server reads large JPEGs; not part of what training did, so the golden images have to bear it."""
    scale: Annotated[Positive, BeforeValidator(_fraction)] = 1.0 / 255.0
    mean: Annotated[tuple[Finite, ...], Strict(False), Field(min_length=3, max_length=3)] = (0.0, 0.0, 0.0)
    std: Annotated[tuple[Positive, ...], Strict(False), Field(min_length=3, max_length=3)] = (1.0, 1.0, 1.0)

    @field_validator("steps")
    @classmethod
    def _end_in_one_size(cls, steps: tuple[StepTable, ...]) -> tuple[StepTable, ...]:
        """Pictures of one size can share a batch. How a crop_box rounds is the images' business, so it cannot be last."""
        last = steps[-1]
        if isinstance(last, ResizeShorterTable):
            side = last.resize_shorter
            raise ValueError(  # noqa: TRY004 - pydantic collects ValueError only
                "after resize_shorter the size still depends on the picture; "
                f'add {{ crop = [{side}, {side}], anchor = "center" }} as the last step'
            )
        if isinstance(last, CropBoxTable):
            raise ValueError(  # noqa: TRY004
                "after crop_box the size is not yet fixed; "
                'add { resize = [height, width], interpolation = "..." } as the last step'
            )
        return steps

    @field_validator("decode")
    @classmethod
    def _has_a_resize_before_pixels_count(cls, decode: Decoding, info: ValidationInfo) -> Decoding:
        steps: tuple[StepTable, ...] = info.data.get(
            "steps", ()
        )  # empty where the steps themselves are wrong
        first = next((step for step in steps if not isinstance(step, CropBoxTable)), None)
        if decode == "scaled" and isinstance(first, CropTable):
            raise ValueError(
                'with "scaled" the first step must not be a crop in pixels: it cuts from the full picture, which is '
                'then never decoded; write "exact", or begin with resize, resize_shorter or crop_box'
            )
        return decode

    def facts(self) -> dict[str, object]:
        """What training did, as JSON values: all but `decode`, which is the server's choice."""
        return self.model_dump(mode="json", exclude={"decode"})

    def input_size(self) -> Size:
        """What the network takes: the size of the last step."""
        match self.steps[-1].step():
            case Resize(size=size) | Crop(size=size):
                return size
            case _:  # pragma: no cover - _end_in_one_size refused it
                raise AssertionError
