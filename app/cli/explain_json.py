"""explanations.json: the numbers of a report, for scripts; keys are stable, what is not known is null."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain import Affine, EvidenceMap, Explanation
from app.evaluation.records import figures_json
from app.explain.sentence import Finding
from app.reports.asked import Asked
from app.reports.closer import Shown, View
from app.reports.explanations import Explanations
from app.reports.survey import Look, Seen


def explanations_json(report: Explanations) -> dict[str, Any]:
    """All of it: the models, the figures, every picture that was asked, and the maps of those that are shown."""
    survey = report.survey
    shown = {id(each.seen): each for each in report.shown}
    return {
        "made": report.made.isoformat(timespec="seconds"),
        "folder": report.folder,
        "classes": list(survey.classes),
        "labelled": survey.is_labelled,
        "notes": list(report.notes),
        "models": [
            {
                **_model(model),
                "figures": figures_json(survey.figures(number)) if survey.is_labelled else None,
                "looks": {survey.classes[index]: _look(look) for index, look in survey.looks[number].items()},
            }
            for number, model in enumerate(report.models)
        ],
        "pictures": [_picture(report, seen, shown.get(id(seen))) for seen in survey.seen],
        "unread": [
            {"file": str(each.item.path), "code": each.error.code, "reason": each.error.message}
            for each in survey.unread
        ],
    }


def _model(model: Asked) -> dict[str, Any]:
    expected = model.bundle.manifest.region_of_interest()
    return {
        "name": model.bundle.name,
        "version": model.bundle.version,
        "digest": model.bundle.digest,
        "architecture": model.bundle.manifest.architecture,
        "device": model.engine.device,
        "precision": model.engine.precision,
        "golden": model.golden,
        "evidence": model.engine.evidence_kind,
        "region_of_interest": None
        if expected is None
        else [expected.x0, expected.y0, expected.x1, expected.y1],
    }


def _look(look: Look) -> dict[str, Any]:
    summary = look.summary
    return {
        "pictures": summary.count,
        "without_evidence": summary.without_evidence,
        "centroid": summary.centroid,
        "centroid_spread": summary.centroid_spread,
        "share_inside": summary.share_inside,
        "mostly_outside": summary.mostly_outside,
        "mean_map": _short(summary.mean_map),
    }


def _picture(report: Explanations, seen: Seen, shown: Shown | None) -> dict[str, Any]:
    classes = report.survey.classes
    return {
        "file": str(seen.item.path),
        "true": None if seen.item.true is None else classes[seen.item.true],
        "is_shown": shown is not None,
        "answers": [
            {
                "predicted": classes[answer.predicted],
                "is_right": None if seen.item.true is None else answer.predicted == seen.item.true,
                "probabilities": answer.probabilities.tolist(),
                "centroid": None if answer.place is None else answer.place.centroid,
                "positive_fraction": None if answer.place is None else answer.place.positive_fraction,
                "share_inside": None if answer.place is None else answer.place.share_inside,
                "explanation": None if shown is None else _explanation(shown.views[number]),
            }
            for number, answer in enumerate(seen.answers)
        ],
    }


def _explanation(view: View) -> dict[str, Any] | None:
    explanation, finding = view.explanation, view.finding
    if explanation is None or finding is None:
        return None
    return {
        "sentence": view.sentence,
        "method": explanation.method,
        "exact": explanation.is_exact,
        "class": explanation.target.class_name,
        "logit": explanation.target.logit,
        "map": _map(explanation.map, explanation.cell_to_picture),
        "field_of_view": explanation.field_of_view,
        **_finding(finding),
        "layers": _layers(explanation),
    }


def _map(shown: EvidenceMap, cells: Affine) -> dict[str, Any]:
    return {
        "values": _short(shown.values),
        "unit": shown.unit,
        "bias": shown.bias,
        "rule": shown.rule,
        "cell_to_picture": [cells.scale_x, cells.offset_x, cells.scale_y, cells.offset_y],
    }


def _short(values: NDArray[np.floating]) -> list[list[float]]:
    """Six digits: float32 has seven, and a thousand of them are written for each picture."""
    return [[float(f"{value:.6g}") for value in row] for row in values.tolist()]


def _finding(finding: Finding) -> dict[str, Any]:
    regions, cover = finding.regions, finding.cover
    return {
        "status": regions.status,
        "regions": [
            {
                "box": region.box,
                "peak": region.peak,
                "centre": region.centre,
                "area_fraction": region.area_fraction,
                "share": region.share,
                "contribution": region.contribution,
            }
            for region in regions.regions
        ],
        "rest": regions.rest,
        "cover": None
        if cover is None
        else {
            "verdict": cover.verdict,
            "probability": cover.probability,
            "without_region": cover.without_region,
            "only_region": cover.only_region,
            "without_random": cover.without_random,
            "area_fraction": cover.area_fraction,
            "random_overlap": cover.random_overlap,
        },
    }


def _layers(explanation: Explanation) -> dict[str, Any] | None:
    if explanation.layers_method is None:
        return None
    return {
        "method": explanation.layers_method,
        # Not their cells: those of an early layer are tens of thousands, and POST /explain?layers= gives them.
        "maps": {
            each.layer: {
                "shape": each.map.values.shape,
                "max": float(each.map.values.max()),
                "mean": float(each.map.values.mean()),
                "positive_fraction": each.map.positive_fraction,
            }
            for each in explanation.layers
        },
    }
