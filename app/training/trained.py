"""What a training leaves behind, as plain values: enough for a bundle, and for any report.

Knows no screens and writes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.bundles.manifest import Manifest
from app.evaluation.evaluated import LEAST_PER_CLASS, independent_counts
from app.evaluation.metrics import Figures, figures
from app.nets.servable import Servable
from app.training.configuration import Configuration
from app.training.folder import File, Side
from app.training.work import BestBy, Epoch

Choice = Literal["epoch", "temperature"]
BEST: Final[Mapping[BestBy, str]] = {
    "loss": "the lowest validation loss",
    "accuracy": "the highest validation accuracy",
    "macro_f1": "the highest validation macro F1",
}


@dataclass(frozen=True, slots=True)
class Placed:
    """One picture of the folder and what became of it."""

    file: File
    side: Side | None
    """None: damaged."""
    group: str | None
    digest: str
    """SHA-256 of the file; empty where it could not be read."""
    pixels: str
    """SHA-256 of what the network takes of it; empty likewise."""
    damage: str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What the kept network answers to one side, on the engine that serves, in float32."""

    side: Side
    files: tuple[File, ...]
    labels: NDArray[np.int64]
    """(N,)."""
    logits: NDArray[np.float32]
    """(N, K)."""
    seen_before: int = 0
    """Pictures of it that stand on an earlier side too, by their pixels."""
    groups: tuple[str, ...] | None = None
    """(N,): pictures of one are right or wrong together; None: `data.group_by` names none."""

    @property
    def figures(self) -> Figures:
        """As the report computes them; the classes are numbers here."""
        names = [str(index) for index in range(self.logits.shape[1])]
        return figures(self.labels, self.logits.argmax(1), names)

    @property
    def accuracy(self) -> float:
        """Share of the pictures whose class was named."""
        return self.right / len(self.labels)

    @property
    def right(self) -> int:
        """Pictures whose class was named."""
        return int((self.logits.argmax(1) == self.labels).sum())

    @property
    def claims_accuracy(self) -> bool:
        """Whether every class has the pictures, or groups, that the report asks for before it speaks of accuracy, all new."""
        return self.why_unclaimed is None

    @property
    def why_unclaimed(self) -> str | None:
        """In a few words; None: it is claimed."""
        if self.seen_before:
            return f"{self.seen_before} of its pictures stand on another side too"
        if independent_counts(self.labels, self.logits.shape[1], self.groups).min() < LEAST_PER_CLASS:
            return (
                f"fewer than {LEAST_PER_CLASS} {'pictures' if self.groups is None else 'groups'} of a class"
            )
        return None


@dataclass(frozen=True, slots=True)
class Trained:
    """Everything that one run of `finetune` made and saw."""

    configuration: Configuration
    manifest: Manifest
    servable: Servable
    """With the kept weights, on the CPU, in eval mode."""
    origin: str
    """What the trunk began from."""
    placed: tuple[Placed, ...]
    history: tuple[Epoch, ...]
    validation: Measured
    test: Measured | None

    @property
    def seconds(self) -> float:
        """Of all epochs, over all processes that worked on them."""
        return sum(epoch.seconds for epoch in self.history)

    @property
    def kept(self) -> Epoch:
        """The epoch whose weights these are."""
        if self.configuration.training.keep == "last":
            return self.history[-1]
        return max(
            self.history, key=lambda epoch: (epoch.merit(self.configuration.training.best_by), -epoch.number)
        )

    @property
    def why_kept(self) -> str:
        """What that epoch has before the others."""
        training = self.configuration.training
        return BEST[training.best_by] if training.keep == "best" else "the last"

    @property
    def chosen_by_validation(self) -> tuple[Choice, ...]:
        """What the validation side decided, so that its own figures flatter."""
        training, outputs = self.configuration.training, self.configuration.outputs
        choices: dict[Choice, bool] = {
            "epoch": training.keep == "best" or bool(training.patience_epochs),
            "temperature": outputs.temperature_scaling and self.temperature != 1.0,
        }
        return tuple(name for name, is_chosen in choices.items() if is_chosen)

    @property
    def temperature(self) -> float:
        """Fitted on the validation set; 1.0 where it was not wanted, or nothing could tell one."""
        return self.manifest.calibration.temperature

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the outputs."""
        return self.manifest.classes

    @property
    def damaged(self) -> tuple[Placed, ...]:
        """Pictures that were passed over."""
        return tuple(each for each in self.placed if each.damage is not None)
