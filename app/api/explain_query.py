"""The query of POST /explain. The names here are the names on the wire."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from app.api.schemas import PictureQuery
from app.domain import Align, Check, Method, Score, View
from app.explain.plan import MOST_CHANNELS, MOST_CLASSES


def _with_pluses(given: object) -> object:
    """In an address typed by hand the pluses of gradcam++ arrive as blanks, and no method has one."""
    return given.replace(" ", "+") if isinstance(given, str) else given


class ExplainQuery(PictureQuery):
    """Query of POST /explain."""

    target: Annotated[
        str | None, Field(description="Class to explain, by name or index; the default is the predicted one.")
    ] = None
    method: Annotated[
        Method | None,
        BeforeValidator(_with_pluses),
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
            description=f"`all`, `topN` (`top3`) or classes with commas between, up to {MOST_CLASSES}: one map for each, "
            "on one scale."
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
    check: Annotated[
        Check,
        Field(
            description="cover: is the strongest region needed? Three more predictions in one batch: it covered, only "
            "it kept, an equally large one elsewhere covered. full: also deletion and insertion curves beside those "
            "of the same map in random order, 44 more predictions."
        ),
    ] = "none"
    align: Annotated[
        Align,
        Field(
            description="Where cells are drawn: at the centre of what they look at, or the grid laid over the whole "
            "input as CAM libraries do."
        ),
    ] = "receptive_field"
    picture: Annotated[
        Literal["overlay", "layers", "classes", "feature_maps"] | None,
        Field(
            description="What is drawn: one map on the picture, or a sheet of several. The default is the only sheet "
            "that was asked for, else the overlay."
        ),
    ] = None
    format: Annotated[
        Literal["jpeg", "png", "webp"], Field(description="Of the picture inside a JSON reply.")
    ] = "jpeg"
    colormap: Annotated[
        Literal["inferno", "viridis", "cividis", "jet"], Field(description="Colours of the heat map.")
    ] = "inferno"
    normalization: Annotated[
        Literal["max", "minmax", "signed", "none"],
        Field(
            description="max: positive evidence over its maximum, zero stays zero; minmax: as most libraries draw; "
            "signed: for and against, diverging colours; none: against `full_scale`, so that pictures compare."
        ),
    ] = "max"
    full_scale: Annotated[
        float | None,
        Field(
            gt=0, allow_inf_nan=False, description="For none: the evidence that gets the strongest colour."
        ),
    ] = None
    opacity: Annotated[
        float, Field(ge=0, le=1, description="Of the strongest evidence; 0 gives the plain picture.")
    ] = 0.6
    contours: Annotated[
        str | None,
        Field(
            max_length=64,
            description="Up to five shares of the strongest evidence with commas between, such as `0.5`: a line at each.",
        ),
    ] = None
    boxes: Annotated[bool, Field(description="Draw a box around each region, with its share.")] = False
    legend: Annotated[
        bool, Field(description="Add a strip below the picture: the class, and colours in numbers.")
    ] = False
    language: Annotated[Literal["en", "ko"], Field(description="Of the words in the picture.")] = "en"
