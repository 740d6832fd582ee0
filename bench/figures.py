"""Medians over rounds with what they lie between, as text and as numbers."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
"""Of a results file."""


@dataclass(frozen=True)
class Spread:
    """What several rounds say of one number."""

    median: float
    lowest: float
    highest: float

    def text(self, digits: int = 1) -> str:
        """`24.1 (23.8..24.6)`; without the brackets where there was one round."""
        middle = f"{self.median:.{digits}f}"
        if self.lowest == self.highest:
            return middle
        return f"{middle} ({self.lowest:.{digits}f}..{self.highest:.{digits}f})"


def spread(values: Iterable[float]) -> Spread:
    """Of one number a round."""
    listed = list(values)
    return Spread(statistics.median(listed), min(listed), max(listed))


def over_rounds(rounds: Sequence[Row], number: Callable[[Row], float]) -> Spread:
    """One number of each round."""
    return spread(number(row) for row in rounds)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Round by round, so that a slow minute is slow for both; only rounds that both have."""
    return spread(a / b for a, b in zip(ours, theirs, strict=False))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; the first column is text, the others are numbers."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def setting_line(results: Row) -> str:
    """Machine, versions, date and command of a results file."""
    facts = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    flags = ", ".join(facts["flags"]) or "none of those asked for"
    note = f" {results['note']}" if "note" in results else ""
    return (
        f"`{facts['command']}`, {facts['date']}, {results['minutes']:.0f} minutes. {facts['cpu']}, {facts['cores']} cores "
        f"({flags}); load {facts['load_before']} before it began. {versions}; OMP_WAIT_POLICY: {facts['omp_wait_policy']}.{note}"
    )


def kind_of_cpu(results: Row) -> str:
    """What matrix kernels find there, for a heading."""
    flags = results["machine"]["flags"]
    names = (("amx_int8", "with AMX"), ("avx512_vnni", "with AVX-512 and VNNI"), ("avx512f", "with AVX-512"))
    return next((f"a CPU {name}" for flag, name in names if flag in flags), "a CPU with AVX2 alone")
