"""What a labelled folder says of a model: accuracy, macro F1, confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of labelled pictures; every figure is derived from them."""

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    """(K, K): rows are the true classes, columns the predicted ones."""

    @property
    def accuracy(self) -> float:
        """Share of pictures whose predicted class is the true one."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    def f1(self) -> NDArray[np.float64]:
        """F1 per class, (K,): 2 TP / (2 TP + FP + FN); NaN for a class neither shown nor predicted."""
        true_positive = np.diag(self.confusion).astype(np.float64)
        denominator = self.confusion.sum(axis=0) + self.confusion.sum(axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray(2 * true_positive / denominator)

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that were shown or predicted."""
        return float(np.nanmean(self.f1()))

    def as_json(self) -> dict[str, Any]:
        """For summary.json."""
        return {
            "labelled": int(self.confusion.sum()),
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            "confusion_rows": "true class, in the order of classes",
            "confusion_columns": "predicted class, in the order of classes",
        }

    def table(self) -> Table:
        """For a terminal."""
        title = (
            f"accuracy {self.accuracy:.4f}   macro F1 {self.macro_f1:.4f}   pictures {self.confusion.sum()}"
        )
        table = Table("true \\ predicted", *self.classes, "recall", title=title)
        for name, row in zip(self.classes, self.confusion, strict=True):
            recall = f"{row[self.classes.index(name)] / row.sum():.3f}" if row.sum() else "-"
            table.add_row(name, *(str(count) for count in row), recall)
        return table


def summarise(labelled: Sequence[tuple[str, str]], classes: Sequence[str]) -> Summary:
    """Count (true class, predicted class) pairs.

    Args:
        labelled: at least one pair, of names in `classes`.
        classes: in the order of the model's outputs.
    """
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for true_class, predicted in labelled:
        confusion[classes.index(true_class), classes.index(predicted)] += 1
    return Summary(tuple(classes), confusion)
