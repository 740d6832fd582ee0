"""An evaluation and an audit as text for other programs.

Evaluation -> predictions.csv, evaluation.json; Audit -> audit.json
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app import __version__
from app.evaluation.audit import Audit
from app.evaluation.calibration import ReliabilityBin
from app.evaluation.evaluated import LEAST_PER_CLASS, Evaluated, Evaluation
from app.evaluation.gallery import surest_mistakes
from app.evaluation.metrics import Figures, wilson_interval
from app.evaluation.predictions import Failure
from app.evaluation.prevalence import OnTheLine


def figures_json(figures: Figures) -> dict[str, Any]:
    """For summary.json and --json; what is not known is null."""
    return {
        "labelled": figures.count,
        "hits": figures.hits,
        "accuracy": known(figures.accuracy),
        "accuracy_95": list(wilson_interval(figures.hits, figures.count)),
        "macro_f1": known(figures.macro_f1),
        "classes": list(figures.classes),
        "without_pictures": list(figures.without_pictures),
        "support": figures.support.tolist(),
        "precision": [known(value) for value in figures.precision.tolist()],
        "recall": [known(value) for value in figures.recall.tolist()],
        "f1": [known(value) for value in figures.f1.tolist()],
        "confusion": figures.confusion.tolist(),
        "confusion_rows": "true class, in the order of classes",
        "confusion_columns": "predicted class, in the order of classes",
    }


def known(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value


def predictions_csv(subjects: Sequence[Evaluated], failures: Sequence[Failure], folder: Path) -> str:
    """One line for each model and picture; the columns of the classes stand in the first model's order."""
    classes = subjects[0].classes
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{kind}_{name}" for kind in ("probability", "logit") for name in classes]
    writer.writerow(["model", "file", "true", "predicted", *columns, "error"])
    for each in subjects:
        order = [each.classes.index(name) for name in classes]
        answers = zip(
            each.predictions.items,
            each.predictions.predicted.tolist(),
            each.probabilities[:, order].tolist(),
            each.predictions.logits[:, order].tolist(),
            strict=True,
        )
        for item, predicted, probabilities, logits in answers:
            writer.writerow(
                [
                    each.name,
                    _below(item.path, folder),
                    each.classes[item.class_index],
                    each.classes[predicted],
                    *(f"{value:.6f}" for value in (*probabilities, *logits)),
                    "",
                ]
            )
    for failure in failures:
        true = classes[failure.item.class_index]
        blanks = [""] * (1 + len(columns))
        writer.writerow(["", _below(failure.item.path, folder), true, *blanks, failure.error.message])
    return text.getvalue()


def evaluation_json(evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    """For scripts; keys are stable."""
    test = evaluation.comparison
    return {
        "lineside": __version__,
        "created": evaluation.created,
        "folder": evaluation.folder,
        "models": [_subject_json(each, folder) for each in evaluation.subjects],
        "comparison": None
        if test is None
        else {
            **asdict(test),
            "test": "McNemar" if test.groups is None else "sign-flip over groups",
            "is_significant": test.is_significant,
            "first": evaluation.subjects[0].name,
            "second": evaluation.subjects[1].name,
        },
        "audits": [audit_json(audit) for audit in evaluation.audits],
        "failed": failures_json(evaluation.failures, folder),
        "notes": list(evaluation.notes),
    }


def audit_json(audit: Audit) -> dict[str, Any]:
    """What was found, in numbers."""
    return {
        "model": audit.asked,
        "pictures": dict(zip(audit.classes, audit.counts, strict=True)),
        "associations": [
            {
                "fact": each.fact,
                "strength": each.strength,
                "cramers_v": each.cramers_v,
                "chance": each.chance,
                "chance_corrected": each.corrected,
                "classes": list(each.table.rows),
                "groups": list(each.table.columns),
                "counts": each.table.counts.tolist(),
                "separations": [asdict(separation) for separation in each.separations],
            }
            for each in audit.associations
        ],
        "orderings": [{**asdict(each), "is_strong": each.is_strong} for each in audit.orderings],
        "region_of_interest": None if audit.region is None else asdict(audit.region),
        "evidence": None
        if audit.places is None
        else {
            name: {
                "pictures": place.count,
                "without_evidence": place.without_evidence,
                "centroid": place.centroid,
                "share_inside": place.share_inside,
                "mostly_outside": place.mostly_outside,
            }
            for name, place in audit.places.items()
        },
        "painted_over": [{**asdict(each), "is_leant_on": each.is_leant_on} for each in audit.painted],
        "accuracy_by_group": [
            {**asdict(each), "accuracy_95": list(each.interval)} for each in audit.group_scores
        ],
    }


def failures_json(failures: Sequence[Failure], folder: Path) -> list[dict[str, str]]:
    """Pictures that could not be read."""
    return [
        {"file": _below(each.item.path, folder), "code": each.error.code, "reason": each.error.message}
        for each in failures
    ]


def _subject_json(each: Evaluated, folder: Path) -> dict[str, Any]:
    model, true, predicted = each.model, each.predictions.true, each.predictions.predicted
    return {
        "name": each.name,
        "digest": None if model is None else model.identity.digest,
        "architecture": None if model is None else model.architecture,
        "device": None if model is None else model.device,
        "precision": None if model is None else model.precision,
        "warnings": [] if model is None else list(model.warnings),
        "claims_accuracy": each.claims_accuracy,
        "groups": None if each.groups is None else len(set(each.groups)),
        "classes_below": {"pictures": LEAST_PER_CLASS, "classes": each.scarce},
        "met_before": asdict(each.met),
        **figures_json(each.figures),
        "accuracy_95": list(each.accuracy_interval),
        "macro_f1_95": [known(end) for end in each.drawn.macro_f1],
        "balanced_accuracy": known(each.figures.balanced_accuracy),
        "balanced_accuracy_95": [known(end) for end in each.drawn.balanced_accuracy],
        "recall_95": [list(interval) for interval in each.recall_intervals],
        "roc_auc": [known(area.value) for area in each.areas],
        "roc_auc_95": [list(area.interval) for area in each.areas],
        "on_the_line": None if each.on_the_line is None else _line_json(each.on_the_line),
        "temperature": each.temperature,
        "calibration_error": each.raw_error,
        "calibration_error_after_scaling": each.scaled_error,
        "reliability": _bins_json(each.raw_bins),
        "reliability_after_scaling": None if each.scaled_bins is None else _bins_json(each.scaled_bins),
        "error_against_coverage": [{**asdict(row), "error": row.error} for row in each.answered],
        "mistakes": [
            {
                "file": _below(each.predictions.items[at].path, folder),
                "true": each.classes[int(true[at])],
                "predicted": each.classes[int(predicted[at])],
                "probability": float(each.probabilities[at].max()),
            }
            for at in surest_mistakes(each.predictions, each.temperature, each.figures.count)
        ],
    }


def _line_json(line: OnTheLine) -> dict[str, Any]:
    return {
        "prevalence": line.shares.tolist(),
        "accuracy": line.accuracy,
        "accuracy_95": list(line.accuracy_interval),
        "precision": [known(value) for value in line.precision.tolist()],
        "precision_95": [list(interval) for interval in line.precision_intervals],
    }


def _bins_json(bins: Sequence[ReliabilityBin]) -> list[dict[str, float]]:
    return [asdict(each) for each in bins if each.count]


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def as_text(value: Mapping[str, Any]) -> bytes:
    """JSON as a file holds it."""
    return (json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()
