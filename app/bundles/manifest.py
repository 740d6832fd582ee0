"""The manifest of a bundle: model.toml as people write it, checked, and as the other rooms need it.

bytes -> parse_manifest -> Manifest -> network_spec(), geometry()
values -> describe -> Manifest -> write_manifest -> text that parses back to an equal Manifest

Knows nothing of folders, weights or which architectures exist. Whatever is wrong with the text is
a ManifestInvalid that lists every problem at once, each with its place and the nearest right word.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
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
    ValidationError,
    ValidationInfo,
    field_validator,
)

from app.bundles.files import one_line, plain_file_name
from app.bundles.problems import Keys, did_you_mean, in_one_message, listed, nearest, readable_problems
from app.domain import (
    Anchor,
    ConvCamHead,
    Crop,
    CropBox,
    Geometry,
    HeadSpec,
    Interpolation,
    LinearHead,
    MlpHead,
    NetworkSpec,
    Normalisation,
    OwnHead,
    Resize,
    ResizeShorter,
    Size,
    Step,
)
from app.errors import ManifestInvalid

MANIFEST_FILE = "model.toml"
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
"""21,841 classes with labels in three languages are 2 MiB; anything above this is not a manifest."""

# --- the vocabulary of values ------------------------------------------------------------------


def _fraction(value: object) -> object:
    """A number from "1/255"; 0.00392156862745098 says the same, but nobody can check it by eye."""
    if not isinstance(value, str):
        return value
    parts = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,12})?)\s*/\s*(\d{1,12}(?:\.\d{1,12})?)\s*", value, re.ASCII)
    if parts is None or float(parts[2]) == 0.0:
        raise ValueError('write a number, or a fraction such as "1/255"')
    return float(parts[1]) / float(parts[2])


def _weights_name(name: str) -> str:
    if name in {MANIFEST_FILE, "golden"}:
        raise ValueError("this name is taken by another part of the bundle")
    return plain_file_name(name)


def _odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError("must be odd")
    return number


def _without_repetition(names: tuple[str, ...]) -> tuple[str, ...]:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"each class may be named once; repeated: {listed(repeated)}")
    return names


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

    crop_box: Annotated[tuple[Fraction, ...], Strict(False), Field(min_length=4, max_length=4)]

    @field_validator("crop_box")
    @classmethod
    def _has_an_inside(cls, box: tuple[float, ...]) -> tuple[float, ...]:
        x0, y0, x1, y1 = box
        if not (x0 < x1 and y0 < y1):
            raise ValueError("[x0, y0, x1, y1] needs x0 < x1 and y0 < y1, as fractions of width and height")
        return box

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

    def input_size(self) -> Size:
        """What the network takes: the size of the last step."""
        match self.steps[-1].step():
            case Resize(size=size) | Crop(size=size):
                return size
            case _:  # pragma: no cover - _end_in_one_size refused it
                raise AssertionError


# --- the whole file ----------------------------------------------------------------------------


class GoldenTable(Table):
    """How closely the golden images must be met."""

    tolerance: Annotated[float, Strict(), Field(allow_inf_nan=False, gt=0, lt=1)] = 0.02
    """Largest accepted difference of any class's probability."""


class Manifest(Table):
    """model.toml."""

    architecture: Annotated[str, Strict(), Field(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
    weights: Annotated[str, Strict(), Field(min_length=1, max_length=255), AfterValidator(_weights_name)] = (
        "weights.safetensors"
    )
    classes: Annotated[
        tuple[Line, ...], Strict(False), Field(min_length=2), AfterValidator(_without_repetition)
    ]
    """In the order of the head's outputs."""
    title: Line | None = None
    description: Text | None = None
    notice: Text | None = None
    """Shown loudly wherever the model answers, such as "synthetic, not for use on meat"."""
    head: HeadTable = Field(default_factory=LinearHeadTable)
    preprocess: PreprocessTable
    display: dict[str, dict[str, Line]] = Field(default_factory=dict)
    """Language -> class -> what people read; a class without a label is shown by its name."""
    golden: GoldenTable = Field(default_factory=GoldenTable)

    @field_validator("display")
    @classmethod
    def _labels_are_of_classes(
        cls, display: dict[str, dict[str, str]], info: ValidationInfo
    ) -> dict[str, dict[str, str]]:
        wrong = [
            f"`{language}` is not a language code of two small letters, such as ko"
            for language in display
            if not re.fullmatch("[a-z]{2}", language)
        ]
        known = set(info.data.get("classes", ()))  # empty where the classes themselves are wrong
        wrong += [
            f"`{name}` in [display.{language}] is not a class{did_you_mean(name, known)}"
            for language, labels in display.items()
            for name in labels
            if known and name not in known
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return display

    def network_spec(self) -> NetworkSpec:
        """Everything but the weights that the network is built from."""
        return NetworkSpec(
            architecture=self.architecture,
            class_count=len(self.classes),
            input_size=self.preprocess.input_size(),
            head=self.head.spec(),
            normalisation=self.normalisation(),
        )

    def normalisation(self) -> Normalisation:
        """What happens to the numbers after the geometry, inside the network's graph."""
        table = self.preprocess
        mean, std = table.mean, table.std
        return Normalisation(
            table.channels, table.scale, (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
        )

    def geometry(self) -> Geometry:
        """What happens to the 8-bit pixels."""
        table = self.preprocess
        red, green, blue = table.alpha_background
        return Geometry(tuple(step.step() for step in table.steps), table.orientation, (red, green, blue))

    def labels(self, language: str) -> tuple[str, ...]:
        """What people read, in the order of the classes; a class without a label keeps its name."""
        labels = self.display.get(language, {})
        return tuple(labels.get(name, name) for name in self.classes)


KNOWN_KEYS: Keys = {
    "": frozenset(Manifest.model_fields),
    "preprocess": frozenset(PreprocessTable.model_fields),
    "golden": frozenset(GoldenTable.model_fields),
    **{f"head:{kind}": frozenset(table.model_fields) for kind, table in HEAD_TABLES.items()},
    **{f"step:{name}": frozenset(table.model_fields) for name, table in STEP_TABLES.items()},
}

# --- reading -----------------------------------------------------------------------------------


def parse_manifest(data: bytes) -> Manifest:
    """Reads model.toml; raises ManifestInvalid with every problem in it."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"{MANIFEST_FILE} is larger than {MAX_MANIFEST_BYTES // 2**20} MiB")
    try:
        raw = tomllib.loads(data.decode("utf-8-sig"))  # Windows editors put a byte order mark
    except UnicodeDecodeError as error:
        raise ManifestInvalid(f"{MANIFEST_FILE} is not UTF-8 text (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        # ValueError besides TOMLDecodeError: a number of more than 4,300 digits.
        raise ManifestInvalid(f"{MANIFEST_FILE} is not valid TOML: {error}") from error
    return _checked(raw)


def _checked(raw: Mapping[str, object]) -> Manifest:
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        raise ManifestInvalid(in_one_message(MANIFEST_FILE, readable_problems(error, KNOWN_KEYS))) from error


# --- writing -----------------------------------------------------------------------------------


def describe(
    *,
    architecture: str,
    classes: Sequence[str],
    geometry: Geometry,
    normalisation: Normalisation,
    head: HeadSpec | None = None,
    dropout: float | None = None,
    weights: str = "weights.safetensors",
    title: str | None = None,
    description: str | None = None,
    notice: str | None = None,
    display: Mapping[str, Mapping[str, str]] | None = None,
    golden_tolerance: float | None = None,
) -> Manifest:
    """The manifest of these values, checked as if it had been read; raises ManifestInvalid."""
    optional = {"title": title, "description": description, "notice": notice}
    return _checked(
        {
            "architecture": architecture,
            "weights": weights,
            "classes": list(classes),
            **{key: value for key, value in optional.items() if value is not None},
            "head": _head_table(head or LinearHead()) | ({} if dropout is None else {"dropout": dropout}),
            "preprocess": {
                "orientation": geometry.orientation,
                "channels": normalisation.channels,
                "alpha_background": list(geometry.alpha_background),
                "steps": [_step_table(step) for step in geometry.steps],
                "scale": normalisation.scale,
                "mean": list(normalisation.mean),
                "std": list(normalisation.std),
            },
            "display": {language: dict(labels) for language, labels in (display or {}).items()},
            "golden": {} if golden_tolerance is None else {"tolerance": golden_tolerance},
        }
    )


def _head_table(head: HeadSpec) -> dict[str, object]:
    match head:
        case LinearHead():
            return {"kind": "linear"}
        case MlpHead(hidden=hidden):
            return {"kind": "mlp", "hidden": list(hidden)}
        case ConvCamHead(kernel_size=kernel_size, channels=channels):
            table: dict[str, object] = {"kind": "conv_cam", "kernel_size": kernel_size}
            return table if channels is None else table | {"channels": channels}
        case OwnHead():
            return {"kind": "own"}


def _step_table(step: Step) -> dict[str, object]:
    match step:
        case Resize(size=size, interpolation=interpolation):
            return {"resize": [size.height, size.width], "interpolation": interpolation}
        case ResizeShorter(shorter=shorter, interpolation=interpolation):
            return {"resize_shorter": shorter, "interpolation": interpolation}
        case Crop(size=size, anchor=anchor):
            return {"crop": [size.height, size.width], "anchor": anchor}
        case CropBox(x0=x0, y0=y0, x1=x1, y1=y1):
            return {"crop_box": [x0, y0, x1, y1]}


def write_manifest(manifest: Manifest) -> str:
    """model.toml for people to edit: every key stands there, with what it means."""
    head = manifest.head.model_dump(exclude_none=True)
    lines = [
        "# How this model is built and what its pictures go through; docs/bundles.md explains every key.",
        "",
        f"architecture = {_toml(manifest.architecture)}",
        f"weights = {_toml(manifest.weights)}",
        write_classes(manifest.classes),
        *(
            f"{key} = {_toml(value)}"
            for key in ("title", "description", "notice")
            if (value := getattr(manifest, key)) is not None
        ),
        "",
        "[head]",
        *(f"{key} = {_toml(value)}" for key, value in head.items()),
        "",
        *_preprocess_lines(manifest.preprocess),
        "",
        "[golden]",
        f"tolerance = {_toml(manifest.golden.tolerance)}  # of any class's probability",
    ]
    for language, labels in manifest.display.items():
        lines += [
            "",
            f"[display.{language}]",
            *(f"{_key(name)} = {_toml(text)}" for name, text in labels.items()),
        ]
    return "\n".join(lines) + "\n"


def write_classes(classes: Sequence[str]) -> str:
    """The manifest's line of class names."""
    return f"classes = {_toml(list(classes))}  # in the order of the head's outputs"


def write_preprocess(geometry: Geometry, normalisation: Normalisation) -> str:
    """The manifest's [preprocess] table, to paste; raises ManifestInvalid."""
    values = describe(
        architecture="any", classes=("a", "b"), geometry=geometry, normalisation=normalisation
    ).preprocess
    return "\n".join(_preprocess_lines(values)) + "\n"


def _preprocess_lines(table: PreprocessTable) -> list[str]:
    return [
        "[preprocess]  # exactly what training did, in this order; sizes are [height, width]",
        f"orientation = {_toml(table.orientation)}  # EXIF: ignore | apply",
        f"channels = {_toml(table.channels)}  # RGB | BGR",
        f"alpha_background = {_toml(table.alpha_background)}  # the colour under transparent pixels",
        "steps = [",
        *(f"  {_toml(step.model_dump())}," for step in table.steps),
        "]",
        f"scale = {_scale(table.scale)}  # then (pixel * scale - mean) / std",
        f"mean = {_toml(table.mean)}",
        f"std = {_toml(table.std)}",
    ]


def _scale(scale: float) -> str:
    whole = round(1 / scale) if 1e-6 < scale < 1 else 0
    return _toml(f"1/{whole}") if whole and 1 / whole == scale else _toml(scale)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: object) -> str:
    """A value on one line."""
    match value:
        case str():
            return '"' + re.sub(r'["\\\x00-\x1f\x7f]', _escaped, value) + '"'
        case int() | float():  # no booleans, infinities or NaNs occur in a Manifest
            return repr(value)
        case tuple() | list():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case dict():
            return "{ " + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + " }"
        case _:  # pragma: no cover - a Manifest holds nothing else
            raise AssertionError(type(value))


def _escaped(letter: re.Match[str]) -> str:
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return short.get(letter[0], f"\\u{ord(letter[0]):04x}")
