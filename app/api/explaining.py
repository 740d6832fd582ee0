"""The explanation on the wire: query -> question, explanation -> JSON or a NumPy file."""

import io
from dataclasses import asdict

import numpy as np

from app.api.explain_query import ExplainQuery
from app.api.explain_schemas import (
    ChannelReply,
    CheckReply,
    ClassMapReply,
    ClassMapsReply,
    CoverReply,
    CurveReply,
    ExplanationReply,
    FaithfulnessReply,
    FeatureMapsReply,
    GeometryReply,
    GridReply,
    LayerMapReply,
    LayerMapsReply,
    RegionReply,
    RegionsReply,
    TargetReply,
)
from app.api.schemas import ClassScoreReply
from app.domain import Affine, EvidenceMap, Explanation, FeatureMaps, ImageFacts
from app.errors import InvalidRequest
from app.explain.faithfulness import Curve
from app.explain.findings import Findings
from app.explain.plan import Plan, Question
from app.explain.regions import DEFAULT_THRESHOLD
from app.images.encode import MediaType
from app.serving.drawing import DrawingStyle, Shown, only_sheet
from app.serving.request import Explained

MOST_CONTOURS = 5


def asked(query: ExplainQuery) -> Question:
    """What is to be explained; how it is drawn is not part of it."""
    return Question(
        method=query.method,
        target=query.target,
        score=query.score,
        against=query.against,
        classes=query.classes,
        layers=query.layers,
        feature_maps=query.feature_maps,
        k=query.k,
        view=query.view,
        align=query.align,
        check=query.check,
    )


def drawn(query: ExplainQuery, media_type: MediaType, *, max_side_px: int) -> DrawingStyle:
    """How it is drawn.

    Raises:
        InvalidRequest: a scale that is missing or has no use, lines that are no shares.
    """
    if (query.normalization == "none") != (query.full_scale is not None):
        raise InvalidRequest(
            "full_scale: it is what normalization=none is measured against; give both or neither"
        )
    return DrawingStyle(
        shows=query.picture,
        media_type=media_type,
        colormap=query.colormap,
        normalization=query.normalization,
        full_scale=query.full_scale,
        opacity=query.opacity,
        contours=_contours(query.contours),
        boxes=query.boxes,
        legend=query.legend,
        language=query.language,
        max_side_px=max_side_px,
    )


def _contours(text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if not 1 <= len(shares) <= MOST_CONTOURS or not all(-1 <= share <= 1 and share for share in shares):
        raise InvalidRequest(
            f"contours: up to {MOST_CONTOURS} shares of the strongest evidence with commas between, such as 0.5"
        )
    return shares


def check_picture(style: DrawingStyle, plan: Plan) -> None:
    """It can be drawn of what was asked for, and everything that was asked of it shows.

    Raises:
        InvalidRequest: it cannot, or something would silently do nothing.
    """
    sheets: dict[Shown, bool] = {
        "layers": plan.layers_method is not None,
        "classes": plan.classes is not None,
        "feature_maps": plan.probe is not None and plan.probe.channels_of is not None,
    }
    if style.shows is not None and not sheets.get(style.shows, True):
        raise InvalidRequest(f"picture: a sheet of {style.shows} needs the parameter {style.shows}")
    shown = style.shows or only_sheet(sheets)
    if idle := style.without_effect(shown):
        raise InvalidRequest(
            f"{', '.join(idle)}: without effect on the sheet of {shown} that is drawn; leave it away, or ask for "
            "picture=overlay"
        )


def check_one_array(plan: Plan) -> None:
    """A NumPy file holds one array.

    Raises:
        InvalidRequest: several were asked for.
    """
    layers = plan.probe.layers if plan.probe is not None and plan.layers_method is not None else ()
    has_channels = plan.probe is not None and plan.probe.channels_of is not None
    if (plan.classes is not None) + bool(layers) + has_channels > 1 or len(layers) > 1:
        raise InvalidRequest(
            "Accept: a NumPy file holds one array; ask for classes, or feature_maps, or one of layers (their maps "
            "differ in size), or take JSON"
        )


def npy(explanation: Explanation) -> bytes:
    """(rows, cols) float32; several maps of one size are stacked along a first axis."""
    if explanation.classes:
        array = np.stack([each.map.values for each in explanation.classes])
    elif explanation.layers:
        array = explanation.layers[0].map.values
    elif explanation.feature_maps is not None:
        array = explanation.feature_maps.channels.values
    else:
        array = explanation.map.values
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def explanation_reply(explained: Explained) -> ExplanationReply:
    """The explanation as JSON."""
    explanation, findings = explained.explanation, explained.findings
    assert findings is not None  # noqa: S101 - JSON asks for them
    image: ImageFacts = explained.prediction.image
    against = explanation.against
    return ExplanationReply(
        method=explanation.method,
        evidence=explanation.kind,
        exact=explanation.is_exact,
        equivalent_to=list(explanation.equivalent_to),
        layer=explanation.layer,
        view=explanation.view,
        target=TargetReply(
            **asdict(explanation.target),
            score="margin" if against is not None else explanation.score,
            against=None if against is None else ClassScoreReply.model_validate(against),
        ),
        grid=_grid(explanation.map),
        geometry=GeometryReply(
            input=(explanation.input_size.height, explanation.input_size.width),
            original=(image.height, image.width),
            cell_to_original=_affine(explanation.cell_to_picture),
            align=explanation.align,
            field_of_view=explanation.field_of_view,
        ),
        classes=_class_maps(explanation),
        layers=_layer_maps(explanation),
        feature_maps=None if explanation.feature_maps is None else _feature_maps(explanation.feature_maps),
        regions=_regions(findings),
        check=_check(findings),
        sentence=dict(explained.sentences),
        warnings=list(explanation.warnings),
    )


def _regions(findings: Findings) -> RegionsReply:
    found, expected = findings.regions, findings.expected
    return RegionsReply(
        status=found.status,
        threshold=DEFAULT_THRESHOLD,
        regions=[
            RegionReply(
                box=region.box,
                peak=region.peak,
                centre=region.centre,
                area_fraction=region.area_fraction,
                share_of_positive=region.share,
                contribution=region.contribution,
            )
            for region in found.regions
        ],
        rest=found.rest,
        centroid=findings.place.centroid,
        region_of_interest=None if expected is None else (expected.x0, expected.y0, expected.x1, expected.y1),
        share_inside=findings.place.share_inside,
    )


def _check(findings: Findings) -> CheckReply | None:
    cover, faithfulness = findings.cover, findings.faithfulness
    if not findings.is_checked:
        return None
    return CheckReply(
        cover=None if cover is None else CoverReply(**asdict(cover), verdict=cover.verdict),
        faithfulness=None
        if faithfulness is None
        else FaithfulnessReply(
            deletion=_curve(faithfulness.deletion),
            insertion=_curve(faithfulness.insertion),
            random_deletion=_curve(faithfulness.random_deletion),
            random_insertion=_curve(faithfulness.random_insertion),
            better_than_random=faithfulness.is_better_than_random,
        ),
    )


def _curve(curve: Curve) -> CurveReply:
    return CurveReply(fractions=curve.fractions, probabilities=curve.probabilities, area=curve.area)


def _grid(shown: EvidenceMap) -> GridReply:
    rows, columns = shown.values.shape
    return GridReply(
        shape=(rows, columns),
        values=shown.values.tolist(),
        unit=shown.unit,
        bias=shown.bias,
        rule=shown.rule,
        positive_fraction=shown.positive_fraction,
        status=shown.status,
    )


def _affine(affine: Affine) -> tuple[float, float, float, float]:
    return (affine.scale_x, affine.offset_x, affine.scale_y, affine.offset_y)


def _class_maps(explanation: Explanation) -> ClassMapsReply | None:
    if not explanation.classes:
        return None
    return ClassMapsReply(
        scale=max(float(np.abs(each.map.values).max()) for each in explanation.classes),
        maps=[
            ClassMapReply(target=ClassScoreReply.model_validate(each.target), grid=_grid(each.map))
            for each in explanation.classes
        ],
    )


def _layer_maps(explanation: Explanation) -> LayerMapsReply | None:
    if explanation.layers_method is None:
        return None
    return LayerMapsReply(
        method=explanation.layers_method,
        maps=[
            LayerMapReply(
                layer=each.layer, grid=_grid(each.map), cell_to_original=_affine(each.cell_to_picture)
            )
            for each in explanation.layers
        ],
    )


def _feature_maps(shown: FeatureMaps) -> FeatureMapsReply:
    channels = shown.channels
    _, rows, columns = channels.values.shape
    return FeatureMapsReply(
        layer=channels.layer,
        shape=(rows, columns),
        channel_count=channels.count,
        total=channels.total,
        channels=[
            ChannelReply(channel=int(index), contribution=float(contribution), values=values.tolist())
            for index, contribution, values in zip(
                channels.indices, channels.contributions, channels.values, strict=True
            )
        ],
        cell_to_original=_affine(shown.cell_to_picture),
    )
