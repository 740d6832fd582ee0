"""The curves of a training, from its history.csv.

text -> read_history -> rows; what is no such text gives none
"""

import csv
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One epoch."""

    number: int
    training_loss: float
    validation_loss: float
    """Nats."""
    validation_accuracy: float
    """0..1."""


def read_history(text: str) -> tuple[EpochRow, ...]:
    """Rows with finite numbers; a table with other columns has none: curves are an ornament, never an error."""
    rows = []
    for row in csv.DictReader(text.splitlines()):
        try:
            epoch = EpochRow(
                int(row["number"]),
                float(row["training_loss"]),
                float(row["validation_loss"]),
                float(row["validation_accuracy"]),
            )
        except (KeyError, TypeError, ValueError):
            continue
        if all(map(math.isfinite, (epoch.training_loss, epoch.validation_loss, epoch.validation_accuracy))):
            rows.append(epoch)
    return tuple(rows)
