"""What may stand in the tables of model.toml: the vocabulary of values, and what every table keeps to."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from app.bundles.files import one_line


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
