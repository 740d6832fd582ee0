"""Intervals and tests against SciPy and by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from app.evaluation.metrics import confusion_matrix
from app.evaluation.significance import macro_f1_interval, mcnemar


def discordant(first_only: int, second_only: int, both: int = 50) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([True, False, True, False], [first_only, second_only, both, 5])
    second = np.repeat([False, True, True, False], [first_only, second_only, both, 5])
    return first, second


@pytest.mark.parametrize(("one", "other"), [(7, 3), (3, 7), (0, 1), (0, 6), (5, 5), (12, 12), (24, 0)])
def test_few_discordant_pairs_are_judged_exactly(one: int, other: int) -> None:
    found = mcnemar(*discordant(one, other))

    assert (found.first_only, found.second_only, found.both, found.neither) == (one, other, 50, 5)
    assert found.method == "exact"
    assert found.chance == pytest.approx(stats.binomtest(one, one + other).pvalue)


@pytest.mark.parametrize(("one", "other"), [(15, 10), (13, 13), (40, 15), (700, 820), (30_000, 30_400)])
def test_many_are_judged_by_the_mid_p_value(one: int, other: int) -> None:
    """Fagerland et al. 2013, eq. 5: the exact value less the probability of what was seen."""
    found = mcnemar(*discordant(one, other))

    point = stats.binom.pmf(min(one, other), one + other, 0.5)
    exact = stats.binomtest(one, one + other).pvalue
    assert found.method == "mid-p"
    assert found.chance == pytest.approx(1 - point / 2 if one == other else exact - point, rel=1e-6)


def test_two_that_agree_everywhere_differ_by_chance() -> None:
    right = np.array([True, False, True])

    assert mcnemar(right, right).chance == 1.0
    with pytest.raises(ValueError, match="not both"):
        mcnemar(right, right[:2])


def test_the_bootstrap_is_that_of_drawing_pictures() -> None:
    """Against pictures truly drawn with replacement and scikit-learn's macro F1."""
    random = np.random.default_rng(1)
    true = random.integers(0, 3, 120)
    predicted = np.where(random.random(120) < 0.8, true, random.integers(0, 3, 120))
    scores = []
    for _ in range(400):
        drawn = random.integers(0, 120, 120)
        scores.append(f1_score(true[drawn], predicted[drawn], average="macro"))

    low, high = macro_f1_interval(confusion_matrix(true, predicted, 3))

    assert (low, high) == pytest.approx(tuple(np.quantile(scores, (0.025, 0.975))), abs=0.02)
    assert macro_f1_interval(confusion_matrix(true, predicted, 3)) == (low, high)


def test_nothing_is_claimed_without_pictures_and_little_without_mistakes() -> None:
    assert all(math.isnan(end) for end in macro_f1_interval(np.zeros((2, 2), np.int64)))
    assert macro_f1_interval(np.diag([5, 5])) == (1.0, 1.0)
