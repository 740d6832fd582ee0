"""[preprocess] of model.toml as types.

a table of TOML -> one of these, or pydantic's ValidationError -> step() for the images
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Strict, Tag, ValidationInfo, field_validator

from app.bundles.problems import listed, nearest
from app.bundles.tables import Finite, FractionBox, Grey, Pixels, PixelSize, Positive, Table
from app.domain import Anchor, Crop, CropBox, Decoding, Interpolation, Resize, ResizeShorter, Size, Step


def _fraction(value: object) -> object:
    """A number from "1/255"; 0.00392156862745098 says the same, but nobody can check it by eye."""
    if not isinstance(value, str):
        return value
    parts = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,12})?)\s*/\s*(\d{1,12}(?:\.\d{1,12})?)\s*", value, re.ASCII)
    if parts is None or float(parts[2]) == 0.0:
        raise ValueError('write a number, or a fraction such as "1/255"')
    return float(parts[1]) / float(parts[2])


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
