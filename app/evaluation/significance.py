"""Whether two models differ by more than chance.

right (N,), right (N,) of two models on the same pictures -> mcnemar -> McNemar

NumPy and the standard library only; tests/evaluation compares with SciPy.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

EXACT_BELOW: Final = 25
"""Discordant pictures; from here on the mid-p value keeps the level and has more power (Fagerland et al. 2013)."""
LEVEL: Final = 0.05

Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two models on the same pictures; only those that one of them gets right say which is better."""

    first_only: int
    """Pictures that the first gets right and the second wrong."""
    second_only: int
    both: int
    neither: int
    chance: float
    """How often two equally good models differ at least so much, 0..1 (the p-value, two-sided)."""
    method: Literal["exact", "mid-p"]

    @property
    def is_significant(self) -> bool:
        """Whether chance makes such a difference in fewer than 5 % of cases."""
        return self.chance < LEVEL


def mcnemar(first: Booleans, second: Booleans) -> McNemar:
    """McNemar's test.

    Args:
        first: (N,), whether the first model is right.
        second: (N,), the second, on the same pictures in the same order.

    Raises:
        ValueError: they are not of one length.

    Source: McNemar 1947; the mid-p value: Fagerland, Lydersen and Laake 2013, "The McNemar test for binary matched-pairs
    data: mid-p and asymptotic are better than exact conditional".
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"right or wrong {first.shape} and {second.shape}: not both (N,)")
    one, other = int((first & ~second).sum()), int((~first & second).sum())
    discordant = one + other
    method: Literal["exact", "mid-p"] = "exact" if discordant < EXACT_BELOW else "mid-p"
    return McNemar(
        first_only=one,
        second_only=other,
        both=int((first & second).sum()),
        neither=int((~first & ~second).sum()),
        chance=_chance(min(one, other), discordant, method),
        method=method,
    )


def _chance(fewer: int, discordant: int, method: Literal["exact", "mid-p"]) -> float:
    """Two-sided, of a fair coin: `fewer` heads or less of `discordant` throws, or as few tails."""
    if not discordant:
        return 1.0
    tail = math.fsum(_binomial(number, discordant) for number in range(fewer + 1))
    two_sided = 1.0 if 2 * fewer == discordant else min(2 * tail, 1.0)
    if method == "exact":
        return two_sided
    point = _binomial(fewer, discordant)
    return two_sided - (point / 2 if 2 * fewer == discordant else point)


def _binomial(heads: int, throws: int) -> float:
    """Of a fair coin; by logarithms, since 2 ** -throws is soon no float."""
    logarithm = math.lgamma(throws + 1) - math.lgamma(heads + 1) - math.lgamma(throws - heads + 1)
    return math.exp(logarithm - throws * math.log(2))
