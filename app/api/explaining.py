"""The explanation on the wire: query -> question, explanation -> JSON or a NumPy file."""

import io
from dataclasses import asdict

import numpy as np

from app.api.schemas import (
    ChannelReply,
    ClassMapReply,
    ClassMapsReply,
    ClassScoreReply,
    ExplainQuery,
    ExplanationReply,
    FeatureMapsReply,
    GeometryReply,
    GridReply,
    LayerMapReply,
    LayerMapsReply,
    TargetReply,
)
from app.domain import Affine, EvidenceMap, Explanation, FeatureMaps, Prediction
from app.errors import InvalidRequest
from app.explain.plan import Plan, Question


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


def explanation_reply(explanation: Explanation, prediction: Prediction) -> ExplanationReply:
    """The explanation as JSON."""
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
            against=None if against is None else ClassScoreReply(**asdict(against)),
        ),
        grid=_grid(explanation.map),
        geometry=GeometryReply(
            input=(explanation.input_size.height, explanation.input_size.width),
            original=(prediction.image.height, prediction.image.width),
            cell_to_original=_affine(explanation.cell_to_picture),
            field_of_view=explanation.field_of_view,
        ),
        classes=_class_maps(explanation),
        layers=_layer_maps(explanation),
        feature_maps=None if explanation.feature_maps is None else _feature_maps(explanation.feature_maps),
        warnings=list(explanation.warnings),
    )


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
            ClassMapReply(target=ClassScoreReply(**asdict(each.target)), grid=_grid(each.map))
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
