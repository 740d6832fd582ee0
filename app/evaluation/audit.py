"""The shortcut audit: what else than the animal could tell the classes, and whether the model uses it.

labelled items [+ an engine and its predictions] -> Audit, all in numbers

The part without a model says what a network could use; the part with one, what it does.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.domain import RegionOfInterest
from app.evaluation.facts import PictureFacts, read_facts
from app.evaluation.groups import GroupOf
from app.evaluation.labelled import LabelledItem
from app.evaluation.predictions import Failure, Limits, Predictions
from app.evaluation.robustness import PaintedOver
from app.evaluation.shortcuts import Association, GroupScore, Ordering, compared, scores_by_group
from app.explain.summary import ClassSummary


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found in one folder, and of one model on it where one was asked."""

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    """Pictures of each class."""
    associations: tuple[Association, ...]
    orderings: tuple[Ordering, ...] = ()
    asked: str | None = None
    """The model; None: the folder alone was looked at, and what follows is empty."""
    group_scores: tuple[GroupScore, ...] = ()
    region: RegionOfInterest | None = None
    """Where the manifest expects the evidence."""
    places: Mapping[str, ClassSummary] | None = None
    """Where the evidence for the predicted class lies, by that class."""
    painted: tuple[PaintedOver, ...] = ()


def audit_folder(
    items: Sequence[LabelledItem],
    folder: Path,
    classes: Sequence[str],
    *,
    labels: Sequence[str] = (),
    limits: Limits,
    threads: int | None = None,
    class_depth: int = 1,
    group_of: GroupOf | None = None,
    on_done: Callable[[int], None] = lambda _count: None,
) -> tuple[Audit, list[PictureFacts], list[Failure]]:
    """Looks at files only.

    Args:
        items: of this folder, at least one.
        folder: above the class folders.
        classes: by index.
        labels: other words for them, such as in Korean.
        limits: of a picture.
        threads: that read; None: one a core.
        class_depth: parts of a path below the folder down to the class; 2 where train/ and val/ stand between.
        group_of: what belongs together.
        on_done: told how many more files are read.

    Returns:
        The audit, the facts it stands on, and the files that could not be read.
    """
    facts, failures = read_facts(
        items,
        folder,
        [*classes, *labels],
        max_bytes=limits.max_bytes,
        threads=threads or os.cpu_count() or 1,
        class_depth=class_depth,
        group_of=group_of,
        on_done=on_done,
    )
    counts = [0] * len(classes)
    for each in facts:
        counts[each.item.class_index] += 1
    found, orders = compared(facts, classes) if facts else ((), ())
    return Audit(tuple(classes), tuple(counts), found, orders), facts, failures


def group_scores(facts: Sequence[PictureFacts], predictions: Predictions) -> tuple[GroupScore, ...]:
    """How often the model is right in each group."""
    rows = zip(predictions.items, predictions.true, predictions.predicted, strict=True)
    return scores_by_group(facts, {str(item.path): bool(true == predicted) for item, true, predicted in rows})
