"""Whether two models differ by more than chance.

right (N,), right (N,) of two models on the same pictures -> mcnemar -> McNemar
the same and group (N,) -> sign_flip -> McNemar, where pictures of one animal are right or wrong together

NumPy and the standard library only; tests/evaluation compares with SciPy.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.evaluation.metrics import Indices

EXACT_BELOW: Final = 25
"""Discordant pictures; from here on the mid-p value keeps the level and has more power (Fagerland et al. 2013)."""
LEVEL: Final = 0.05

ALL_SIGNS_TO: Final = 12
"""Groups that differ; up to here all 4,096 signs are tried."""
FLIPS: Final = 10_000
SEED: Final = 0

Booleans = NDArray[np.bool_]
Method = Literal["exact", "mid-p", "sign-flip"]


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
    method: Method
    groups: int | None = None
    """Within which pictures are taken as one thing; None: each is independent."""

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


def sign_flip(first: Booleans, second: Booleans, groups: Indices) -> McNemar:
    """Whether two models differ by more than chance where whole groups are right or wrong together.

    Of two equally good models a group's difference might as well have stood the other way round, as a whole.

    Args:
        first: (N,), whether the first model is right.
        second: (N,), the second.
        groups: (N,), 0..G-1.

    Source: Winkler et al. 2014, "Permutation inference for the general linear model", section on sign-flipping and
    exchangeability blocks. With groups of one picture it is McNemar's exact test.
    """
    counted = mcnemar(first, second)
    differences = np.bincount(groups, first.astype(np.float64) - second)
    differences = differences[differences != 0]
    observed = abs(differences.sum()) - 1e-9
    if len(differences) <= ALL_SIGNS_TO:
        signs = 1 - 2 * (np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences)) & 1)
        chance = float((np.abs(signs @ differences) >= observed).mean())
    else:
        random = np.random.default_rng(SEED)
        as_far = sum(
            abs(random.choice((-1.0, 1.0), len(differences)) @ differences) >= observed for _ in range(FLIPS)
        )
        chance = (int(as_far) + 1) / (FLIPS + 1)  # never 0 (Phipson and Smyth 2010)
    return replace(counted, chance=chance, method="sign-flip", groups=len(np.unique(groups)))


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
