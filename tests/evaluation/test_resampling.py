"""Intervals against scikit-learn and SciPy, and by counting how often the truth is inside."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, f1_score

from app.evaluation.metrics import figures
from app.evaluation.resampling import intervals_of

COVERED = 0.88
"""Of 95 %, in a few hundred rounds: the discrete worst case of such intervals (Brown, Cai and DasGupta 2001, figure 4)."""


def test_the_bootstrap_is_that_of_drawing_pictures() -> None:
    """Against pictures truly drawn with replacement in each class, and scikit-learn's figures of them."""
    random = np.random.default_rng(1)
    true = random.integers(0, 3, 240)
    predicted = np.where(random.random(240) < 0.8, true, random.integers(0, 3, 240))
    balanced, f1 = [], []
    for _ in range(250):
        drawn = np.concatenate(
            [random.choice(np.flatnonzero(true == k), (true == k).sum()) for k in range(3)]
        )
        balanced.append(balanced_accuracy_score(true[drawn], predicted[drawn]))
        f1.append(f1_score(true[drawn], predicted[drawn], average="macro"))

    found = intervals_of(true, predicted, 3)

    assert found.macro_f1 == pytest.approx(tuple(np.quantile(f1, (0.025, 0.975))), abs=0.015)
    assert found.balanced_accuracy == pytest.approx(tuple(np.quantile(balanced, (0.025, 0.975))), abs=0.015)
    assert intervals_of(true, predicted, 3) == found
    seen = figures(true, predicted, "abc")
    assert seen.balanced_accuracy == pytest.approx(balanced_accuracy_score(true, predicted))


def test_a_recall_has_jeffreys_interval() -> None:
    """Which is a beta distribution's: 90 right of 100."""
    true = np.repeat([0, 1], 100)
    predicted = np.where(np.arange(200) % 10 == 0, 1 - true, true)

    found = intervals_of(true, predicted, 2, rounds=4000)

    assert found.recalls[0] == pytest.approx(stats.beta.ppf((0.025, 0.975), 90.5, 10.5), abs=0.008)


def test_the_truth_of_a_macro_f1_is_inside() -> None:
    """It was inside in 70 of 100, since no mistake made an interval of (1, 1)."""
    right, random = 0.996, np.random.default_rng(5)
    true = np.repeat(np.arange(3), 100)
    inside = 0
    for _ in range(100):
        other = (true + random.integers(1, 3, 300)) % 3
        low, high = intervals_of(
            true, np.where(random.random(300) < right, true, other), 3, rounds=200
        ).macro_f1
        inside += low <= right <= high

    assert inside / 100 >= COVERED


def test_without_a_mistake_an_interval_has_a_width_all_the_same() -> None:
    true = np.repeat([0, 1], 5)

    low, high = intervals_of(true, true, 2).macro_f1

    assert 0.7 < low < 0.95
    assert high == 1.0


def test_nothing_is_said_without_pictures() -> None:
    nothing = np.zeros(0, np.int64)

    assert all(math.isnan(end) for end in intervals_of(nothing, nothing, 2).macro_f1)
    assert intervals_of(np.zeros(4, np.int64), np.zeros(4, np.int64), 2).recalls[1] == (0.0, 1.0)


def test_few_large_groups_among_small_ones_are_few() -> None:
    """One carcass in three has thirty views: the recall was inside in 77 of 100."""
    random, right = np.random.default_rng(7), 0.95
    inside = 0
    for _ in range(100):
        sizes = random.choice((1, 1, 30), 120)
        is_right, true = random.random(120) < right, np.arange(120) % 2
        shown = np.repeat(np.where(is_right, true, 1 - true), sizes)
        low, high = intervals_of(
            np.repeat(true, sizes), shown, 2, np.repeat(np.arange(120), sizes), rounds=60
        ).recalls[0]
        inside += low <= right <= high

    assert inside / 100 >= COVERED


def test_ten_views_of_one_carcass_are_no_ten_carcasses() -> None:
    """Wilson's interval held the truth in 57 of 100."""
    random, right = np.random.default_rng(6), 0.9
    groups = np.repeat(np.arange(40), 10)
    true = np.repeat([0, 1], 200)
    inside = 0
    for _ in range(100):
        is_right = np.repeat(random.random(40) < right, 10)
        low, high = intervals_of(true, np.where(is_right, true, 1 - true), 2, groups, rounds=60).accuracy
        inside += low <= right <= high

    assert inside / 100 >= COVERED
