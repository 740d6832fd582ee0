"""What labelled pictures say of one model: values, each with how far it may be trusted.

Predictions + temperature -> evaluated -> Evaluated; two of them -> compare -> McNemar

Knows no files but by name, no screens and no sentences.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from app.domain import ModelIdentity
from app.errors import InvalidRequest
from app.evaluation.abstention import Answered, error_against_coverage
from app.evaluation.audit import Audit
from app.evaluation.calibration import (
    ReliabilityBin,
    expected_calibration_error,
    probabilities_at,
    reliability,
)
from app.evaluation.gallery import Mistake
from app.evaluation.history import EpochRow
from app.evaluation.metrics import Figures, Floats, Indices, wilson_interval
from app.evaluation.origins import Met
from app.evaluation.predictions import Failure, Predictions
from app.evaluation.prevalence import OnTheLine, on_the_line
from app.evaluation.ranking import Area, roc_auc
from app.evaluation.resampling import Intervals, group_numbers, intervals_of
from app.evaluation.significance import McNemar, mcnemar, sign_flip

LEAST_PER_CLASS: Final = 30
"""Pictures; with fewer of a class the interval of its recall is wider than 0.3 in the middle, and no accuracy is
claimed."""


def independent_counts(true: Indices, class_count: int, groups: tuple[str, ...] | None) -> Indices:
    """(K,): pictures of each class, or groups that show it; what accuracy may be claimed from.

    Args:
        true: (N,) class indices.
        class_count: K.
        groups: (N,) names; None where each picture is independent.
    """
    if groups is None:
        return np.bincount(true, minlength=class_count)
    pairs = np.unique(np.stack([true, group_numbers(groups)]), axis=1)
    return np.bincount(pairs[0], minlength=class_count)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Which model answered, and where."""

    identity: ModelIdentity
    architecture: str
    device: str
    precision: str
    title: str | None = None
    notice: str | None = None
    warnings: tuple[str, ...] = ()
    """Of its proof."""

    @property
    def name(self) -> str:
        """As people write it: pig-sex/1."""
        return f"{self.identity.name}/{self.identity.version}"


@dataclass(frozen=True)
class Evaluated:
    """One model, or one side of a training, on labelled pictures. Figures are computed when first asked for."""

    name: str
    """Heads its column."""
    model: ModelFacts | None
    """None for a network that is no bundle yet."""
    predictions: Predictions
    """Of at least one picture."""
    temperature: float
    labels: Mapping[str, tuple[str, ...]]
    """Language -> what people read, in the order of the classes."""
    mistakes: tuple[Mistake, ...] = ()
    groups: tuple[str, ...] | None = None
    """(N,): pictures of one name are right or wrong together; None: each is independent."""
    shares: Floats | None = None
    """(K,): how often each class comes on the line, where somebody said so."""
    met: Met = field(default_factory=Met)
    """Of these pictures, what the model knows already."""

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the outputs."""
        return self.predictions.classes

    def labels_in(self, language: str) -> tuple[str, ...]:
        """What people read, in the order of the classes; their names where the language has no other words."""
        return self.labels.get(language, self.classes)

    @cached_property
    def figures(self) -> Figures:
        """From the confusion matrix."""
        return self.predictions.figures()

    @cached_property
    def probabilities(self) -> Floats:
        """(N, K), as the server answers them."""
        return probabilities_at(self.predictions.logits, self.temperature)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 %: Wilson, or of groups drawn anew."""
        if self.groups is not None:
            return self.drawn.accuracy
        return wilson_interval(self.figures.hits, self.figures.count)

    @cached_property
    def drawn(self) -> Intervals:
        """95 %, pictures or whole groups drawn anew."""
        predictions = self.predictions
        return intervals_of(predictions.true, predictions.predicted, len(self.classes), self._group_numbers)

    @property
    def _group_numbers(self) -> Indices | None:
        return None if self.groups is None else group_numbers(self.groups)

    @cached_property
    def recall_intervals(self) -> tuple[tuple[float, float], ...]:
        """95 %, of each class: Wilson, or of groups drawn anew."""
        if self.groups is not None:
            return self.drawn.recalls
        hits, support = np.diag(self.figures.confusion), self.figures.support
        return tuple(wilson_interval(int(h), int(n)) for h, n in zip(hits, support, strict=True))

    @cached_property
    def areas(self) -> tuple[Area, ...]:
        """Of each class, under its ROC curve."""
        predictions = self.predictions
        return roc_auc(predictions.logits, predictions.true, self.temperature, self._group_numbers)

    @cached_property
    def on_the_line(self) -> OnTheLine | None:
        """Where the classes come as often as was said."""
        if self.shares is None:
            return None
        predictions = self.predictions
        return on_the_line(predictions.true, predictions.predicted, self.shares, self._group_numbers)

    @cached_property
    def answered(self) -> tuple[Answered, ...]:
        """Error against coverage, with the probabilities that the server answers."""
        return error_against_coverage(self.probabilities, self.predictions.true)

    @cached_property
    def raw_bins(self) -> tuple[ReliabilityBin, ...]:
        """Without the temperature."""
        return reliability(probabilities_at(self.predictions.logits), self.predictions.true)

    @cached_property
    def scaled_bins(self) -> tuple[ReliabilityBin, ...] | None:
        """With it; None where the manifest has none."""
        if self.temperature == 1.0:
            return None
        return reliability(self.probabilities, self.predictions.true)

    @property
    def raw_error(self) -> float:
        """Expected calibration error without the temperature, 0..1."""
        return expected_calibration_error(self.raw_bins)

    @property
    def scaled_error(self) -> float | None:
        """With it."""
        return None if self.scaled_bins is None else expected_calibration_error(self.scaled_bins)

    @property
    def scarce(self) -> dict[str, int]:
        """Classes with fewer than 30 pictures, or groups of them; where there is one, no accuracy is claimed."""
        counts = independent_counts(self.predictions.true, len(self.classes), self.groups)
        named = zip(self.classes, counts.tolist(), strict=True)
        return {name: count for name, count in named if count < LEAST_PER_CLASS}

    @property
    def claims_accuracy(self) -> bool:
        """Whether there are enough pictures of every class, and all of them new to the network."""
        return not (self.scarce or self.met.trained_on or self.met.on_earlier_side)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that a report says."""

    folder: str
    """The name of the folder."""
    subjects: tuple[Evaluated, ...]
    """One or two, side by side."""
    audits: tuple[Audit, ...] = ()
    """Of the folder; one for each model that was asked."""
    comparison: McNemar | None = None
    """Of two models on the same pictures."""
    history: tuple[EpochRow, ...] = ()
    failures: tuple[Failure, ...] = ()
    """Pictures that could not be read and count nowhere."""
    notes: tuple[str, ...] = ()
    title: str = ""
    """What was evaluated, where it is not the models."""
    created: str = ""
    """A day, such as 2026-01-31."""


def compare(first: Evaluated, second: Evaluated) -> McNemar:
    """On the pictures that both could read.

    Raises:
        InvalidRequest: there is none, or the models know other classes.
    """
    if set(first.classes) != set(second.classes):
        odd = sorted(set(first.classes) ^ set(second.classes))
        raise InvalidRequest(
            f"{first.name} and {second.name} do not know the same classes ({', '.join(odd[:5])}), so they cannot be "
            "compared picture by picture; evaluate each alone"
        )
    right_first, right_second = (
        {
            item.path: bool(true == predicted)
            for item, true, predicted in zip(p.items, p.true, p.predicted, strict=True)
        }
        for p in (first.predictions, second.predictions)
    )
    common = [path for path in right_first if path in right_second]
    if not common:
        raise InvalidRequest(f"no picture could be read by both {first.name} and {second.name}")
    one, other = (np.array([those[path] for path in common], bool) for those in (right_first, right_second))
    if first.groups is None:
        return mcnemar(one, other)
    group = {item.path: name for item, name in zip(first.predictions.items, first.groups, strict=True)}
    return sign_flip(one, other, group_numbers(tuple(group[path] for path in common)))
