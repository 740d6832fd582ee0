"""The shapes of the reply to POST /explain. The names here are the names on the wire."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.schemas import ClassScoreReply, PredictionReply, Reply
from app.domain import Align, EvidenceKind, Method, View
from app.explain.cover import Verdict


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
    align: Annotated[
        Align, Field(description="How the grid was laid; half_pixel where its cells were resampled.")
    ]
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


class RegionReply(Reply):
    """One connected part of the map that stands out."""

    box: Annotated[
        tuple[float, float, float, float] | None,
        Field(description="[x0, y0, x1, y1] in the picture's pixels; null where it lies beyond the picture."),
    ]
    peak: Annotated[tuple[float, float], Field(description="x, y of its strongest cell.")]
    centre: Annotated[tuple[float, float], Field(description="x, y, the mean position of its evidence.")]
    area_fraction: Annotated[float, Field(description="Of the map.")]
    share_of_positive: Annotated[float, Field(description="Of the positive evidence.")]
    contribution: Annotated[float, Field(description="What it adds, in the grid's unit.")]


class RegionsReply(Reply):
    """Where the evidence lies: target = bias + rest + sum of contributions, where the grid has a rule."""

    status: Annotated[
        Literal["ok", "no_positive_evidence", "even"], Field(description="even: no place stands out.")
    ]
    threshold: Annotated[float, Field(description="A region reaches this share of the peak.")]
    regions: list[RegionReply]
    rest: float
    centroid: Annotated[
        tuple[float, float] | None,
        Field(description="Of the positive evidence, as fractions of the picture."),
    ]
    region_of_interest: Annotated[
        tuple[float, float, float, float] | None,
        Field(description="The manifest's, as fractions of the picture."),
    ]
    share_inside: Annotated[float | None, Field(description="Of the positive evidence, inside it.")]


class CoverReply(Reply):
    """The target's probability with parts of the picture covered."""

    probability: float
    without_region: Annotated[float, Field(description="The strongest region covered.")]
    only_region: Annotated[float, Field(description="Only it kept.")]
    without_random: Annotated[float, Field(description="An equally large one elsewhere covered.")]
    area_fraction: Annotated[float, Field(description="Of the region, in what the network sees.")]
    random_overlap: Annotated[
        float, Field(description="Share of the random one on the region; above 0.25 it is no control.")
    ]
    verdict: Verdict


class CurveReply(Reply):
    """The target's probability while pixels go or come, the map's strongest first."""

    fractions: tuple[float, ...]
    probabilities: tuple[float, ...]
    area: float


class FaithfulnessReply(Reply):
    """A map beside itself in random order; a faithful one falls faster and rises faster."""

    deletion: CurveReply
    insertion: CurveReply
    random_deletion: CurveReply
    random_insertion: CurveReply
    better_than_random: Annotated[bool, Field(description="By both curves.")]


class CheckReply(Reply):
    """Does the network need what the map shows?"""

    cover: Annotated[CoverReply | None, Field(description="null where no region stands out.")]
    faithfulness: Annotated[FaithfulnessReply | None, Field(description="With `check=full`.")]


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
    regions: RegionsReply
    check: Annotated[CheckReply | None, Field(description="When a `check` was asked for.")]
    sentence: Annotated[
        dict[str, str], Field(description="What these numbers say, by language; empty for a map of no class.")
    ]
    warnings: list[str]


class ExplainReply(PredictionReply):
    """The answer to POST /explain: the prediction, its overlay in `cam`, and the explanation."""

    explanation: ExplanationReply
