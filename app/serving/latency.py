"""How long a batch of each size takes on one worker, and which size to take.

measured table (size -> seconds), observed batches -> predicted seconds -> the size to take, the time a queue takes

A table that was measured at warm-up gives the proportions between the sizes; a running ratio of observed to measured
time scales all of them, because what changes later (another model on the device, a throttled clock) changes them
alike. Without a table every entry weighs the same, and the ratio is the running mean of seconds per entry. Numbers
only: knows no clock, no queue, no device.
"""

from collections.abc import Mapping, Sequence

SMOOTHING = 0.2
"""Weight of the newest batch in the running ratio."""

EQUAL = 0.05
"""Sizes whose seconds per entry differ by less count as equally fast: that is noise of the measurement, and the larger
one costs fewer rounds outside the device."""


def capped(sizes: Sequence[int], largest: int | None) -> list[int]:
    """The sizes in order, each once, and the largest in place of those above it; None: as they are."""
    return sorted({size if largest is None else min(size, largest) for size in sizes})


def together_s(alone_s: Sequence[float]) -> float:
    """Seconds in which several do what each would do alone in so many; 0 where nobody knows, or nobody is there.

    Together they are as fast as their speeds added; one whose speed is not known yet is worth a try.
    """
    return 1.0 / sum(1.0 / time_s for time_s in alone_s) if alone_s and all(alone_s) else 0.0


class LatencyModel:
    """Seconds per batch by size.

    Args:
        sizes: those that may run; must hold 1.
        measured_s: seconds for each of them; empty: nothing was measured.

    Raises:
        ValueError: no size 1, a size that was not measured, or a time that is not positive.
    """

    def __init__(self, sizes: Sequence[int], measured_s: Mapping[int, float] | None = None) -> None:
        if 1 not in sizes:
            raise ValueError("batch sizes must hold 1: a lone entry runs alone")
        measured = measured_s or {}
        wrong = [size for size in sizes if measured and not measured.get(size, 0.0) > 0]
        if wrong:
            raise ValueError(f"no measured seconds for the batch sizes {wrong}")
        self._weights = {size: measured[size] if measured else float(size) for size in sizes}
        self.fastest_size = self._fastest(list(self._weights))
        """The size with the most entries a second; a larger one may be slower per entry, on some processors."""
        self._ratio: float | None = 1.0 if measured else None
        self._drains: dict[int, float] = {}

    def seconds(self, size: int) -> float:
        """Predicted, for one batch; 0 while nothing is known."""
        return self._weights[size] * (self._ratio or 0.0)

    def observe(self, size: int, seconds: float) -> None:
        """One batch has taken that long."""
        ratio = seconds / self._weights[size]
        known = ratio if self._ratio is None else self._ratio
        self._ratio = known + SMOOTHING * (ratio - known)

    def size_for(self, left_s: Sequence[float]) -> int:
        """How many of the waiting entries to run now: the fastest size per entry that is in time for all it takes.

        A deadline that even a lone entry would miss does not count: a smaller batch would not save that entry, and
        would make those behind it late as well.

        Args:
            left_s: seconds until each waiting entry's deadline, in the order in which they would be taken; one or more.
        """
        alone_s = self.seconds(1)
        return self._fastest(
            [
                size
                for size in self._weights
                if size <= len(left_s)
                and not any(alone_s <= left < self.seconds(size) for left in left_s[:size])
            ]
        )

    def drain_s(self, count: int) -> float:
        """Predicted seconds until that many entries are done, one batch after the other at the fastest sizes."""
        # Asked for every request that comes, also for those that are refused; the weights never change.
        if count not in self._drains:
            weight, left = 0.0, count
            while left:
                size = self._fastest([size for size in self._weights if size <= left])
                batches, left = divmod(left, size)
                weight += batches * self._weights[size]
            self._drains[count] = weight
        return self._drains[count] * (self._ratio or 0.0)

    def _fastest(self, sizes: Sequence[int]) -> int:
        """Of these the one with the most entries a second; the largest of those that are as good."""
        best = min(self._weights[size] / size for size in sizes)
        return max(size for size in sizes if self._weights[size] / size <= best * (1 + EQUAL))
