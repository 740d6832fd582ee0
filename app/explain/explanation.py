"""Puts an explanation together from what the engine said and what the request asked.

Plan + logits, evidence, probe's answer + where the input lies on the picture -> Explanation

Knows no networks, no pictures and no HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.domain import (
    Affine,
    Align,
    Cells,
    ClassMap,
    ClassScore,
    EvidenceKind,
    EvidenceMap,
    Explanation,
    FeatureMaps,
    LayerMap,
    Method,
    Probed,
    Size,
)
from app.errors import InvalidRequest
from app.explain.maps import (
    cell_to_input,
    cell_to_input_by_receptive_field,
    evidence_map,
    field_of_view,
    measured,
)
from app.explain.plan import Plan


@dataclass(frozen=True, slots=True)
class Said:
    """What the network said of one image."""

    logits: NDArray[np.float32]
    """(K,)"""
    evidence: NDArray[np.float32]
    """(K, h', w')"""
    probed: Probed | None
    scores: Sequence[ClassScore]
    """All classes, the most probable first."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the image that the network saw lies on the picture, and the evidence's cells on it."""

    input_size: Size
    input_to_picture: Affine
    margin_cells: float
    """Cells of the trunk's grid by which the evidence grid lies inside it, on each side."""
    target_layer: str
    """Whose cells those are."""
    cells: Cells | None
    """Where they look; None where the head resamples its grid."""
    align: Align = "receptive_field"

    def aligned(self, layer: str) -> Align:
        """How a grid of this layer is laid.

        Of earlier layers only the size is known, and half of one of their small cells is little.
        """
        return "half_pixel" if self.cells is None or layer != self.target_layer else self.align

    def on_input(self, values: NDArray[np.float32], layer: str) -> Affine:
        """From a grid (rows, cols) of this layer to the network's input pixels."""
        margin = self.margin_cells if layer == self.target_layer else 0.0
        if self.cells is not None and self.aligned(layer) == "receptive_field":
            return cell_to_input_by_receptive_field(
                stride=self.cells.stride, first_centre=self.cells.first_centre, margin_cells=margin
            )
        return cell_to_input(self.input_size, Size(*values.shape[-2:]), margin_cells=margin)

    def of(self, values: NDArray[np.float32], layer: str) -> Affine:
        """From a grid (rows, cols) of this layer to the picture's pixels."""
        return self.on_input(values, layer).then(self.input_to_picture)


def explain(plan: Plan, said: Said, place: Place, kind: EvidenceKind) -> Explanation:
    """The answer to the plan.

    Raises:
        InvalidRequest: the class to compare with turned out to be the predicted one.
    """
    by_index = {score.class_index: score for score in said.scores}
    target = replace(
        plan.target,
        class_index=said.scores[0].class_index
        if plan.target.class_index is None
        else plan.target.class_index,
    )
    assert target.class_index is not None  # noqa: S101 - just set
    if target.against == target.class_index:
        name = by_index[target.class_index].class_name
        raise InvalidRequest(f"against: {name} is the predicted class; name another, or a target")
    if plan.is_from_evidence:
        main = evidence_map(said.evidence, said.logits, target)
    else:
        assert said.probed is not None  # noqa: S101 - the plan asked for it
        main = _probed_map(said.probed.maps[0], plan, plan.method)
    return Explanation(
        method=plan.method,
        kind=kind,
        equivalent_to=plan.equivalent_to,
        layer=place.target_layer,
        target=by_index[target.class_index],
        map=main,
        cell_to_picture=place.of(main.values, place.target_layer),
        cell_to_input=place.on_input(main.values, place.target_layer),
        align=place.aligned(place.target_layer),
        field_of_view=field_of_view(place.input_size, place.input_to_picture),
        input_size=place.input_size,
        score=target.score,
        against=None if target.against is None else by_index[target.against],
        view=plan.view,
        classes=_class_maps(plan, said, by_index),
        layers_method=plan.layers_method,
        layers=_layer_maps(plan, said.probed, place),
        feature_maps=_feature_maps(said.probed, place),
        warnings=plan.warnings,
    )


def _probed_map(values: NDArray[np.float32], plan: Plan, method: Method) -> EvidenceMap:
    """Of a probe: in the target's unit, but nothing adds up to the target."""
    if method == "eigencam":
        return measured(values, unit="activation")
    return measured(values, unit="probability" if plan.target.score == "probability" else "logit")


def _class_maps(plan: Plan, said: Said, by_index: Mapping[int, ClassScore]) -> tuple[ClassMap, ...]:
    match plan.classes:
        case None:
            return ()
        case int() as count:
            indices = [score.class_index for score in said.scores[:count]]
        case _:
            indices = list(plan.classes)
    return tuple(
        ClassMap(
            by_index[index],
            evidence_map(said.evidence, said.logits, replace(plan.target, class_index=index)),
        )
        for index in indices
    )


def _layer_maps(plan: Plan, probed: Probed | None, place: Place) -> tuple[LayerMap, ...]:
    if probed is None or plan.probe is None or plan.layers_method is None:
        return ()
    return tuple(
        LayerMap(layer, _probed_map(values, plan, plan.layers_method), place.of(values, layer))
        for layer, values in zip(plan.probe.layers, probed.maps, strict=True)
    )


def _feature_maps(probed: Probed | None, place: Place) -> FeatureMaps | None:
    if probed is None or probed.channels is None:
        return None
    channels = probed.channels
    return FeatureMaps(channels, place.of(channels.values, channels.layer))
