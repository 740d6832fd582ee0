"""What labelled pictures said of a preprocessing: values and what follows from them."""

from dataclasses import dataclass
from typing import Literal

from app.evaluation.declarations import Declaration, shared_fields
from app.evaluation.verdicts import Evidence

Verdict = Literal["holds", "other", "open"]


@dataclass(frozen=True, slots=True)
class Finalist:
    """A declaration that was tried on every picture."""

    declaration: Declaration
    mean_log_probability: float
    """Of the true class, in nats; 0 is certainty."""
    accuracy: float
    distance: float | None
    """From the statistics of training, nats per channel; None for a network that remembers none."""
    evidence: Evidence
    """What tells it from the best; tie: nothing does."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The outcome of one investigation."""

    declared: Declaration
    finalists: tuple[Finalist, ...]
    """Ties first, then by likelihood; the declared one is always among them."""
    classes: tuple[str, ...]
    """In the order that is likeliest of the outputs."""
    is_permuted: bool
    """That order is not the declared one, which the evidence tells from it under every declaration."""
    is_better_than_guessing: bool
    scored: int
    """Distinct declarations that were tried."""
    first_look: int
    """Pictures on which all of them were tried."""
    pictures: int
    """Pictures on which the finalists were tried."""
    unresolved: int
    """Declarations left out of the race although the pictures so far could not tell them from the best."""
    passes: int
    """Pictures that went through the network."""

    @property
    def ties(self) -> tuple[Finalist, ...]:
        """The best and what cannot be told from it."""
        return tuple(finalist for finalist in self.finalists if finalist.evidence == "tie")

    @property
    def best(self) -> Finalist:
        """Of the ties the one most like the declared: nothing is changed that nothing speaks against. Then likelihood."""
        return max(self.ties, key=lambda finalist: finalist.declaration.likeness(self.declared))

    @property
    def settled(self) -> dict[str, str]:
        """Field -> its value, where all ties agree."""
        return {field: values[0] for field, values in self._fields().items() if len(values) == 1}

    @property
    def unsettled(self) -> dict[str, list[str]]:
        """Field -> the values among the ties, where they differ."""
        return {field: values for field, values in self._fields().items() if len(values) > 1}

    @property
    def verdict(self) -> Verdict:
        """Whether nothing is better than the declared one, another one is, or nothing can be told."""
        if not self.is_better_than_guessing or not self.settled:
            return "open"
        holds = self.best.declaration == self.declared and not self.is_permuted
        return "holds" if holds else "other"

    def _fields(self) -> dict[str, list[str]]:
        return shared_fields([finalist.declaration for finalist in self.ties])
