"""Contingency tables against SciPy and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from app.evaluation.association import (
    chance_of,
    chance_of_order,
    chi_squared,
    contingency,
    cramers_v,
    holm,
    ranks,
    share_above,
)

TABLES = st.integers(2, 4).flatmap(
    lambda rows: st.integers(2, 4).flatmap(
        lambda columns: st.lists(st.integers(1, 20), min_size=rows * columns, max_size=rows * columns).map(
            lambda cells: np.array(cells, np.int64).reshape(rows, columns)
        )
    )
)


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_chi_squared_and_v_are_scipys(counts: np.ndarray) -> None:
    """V without its correction is scipy's; the correction is Bergsma's, written out anew."""
    statistic = stats.chi2_contingency(counts, correction=False).statistic
    count, (rows, columns) = counts.sum(), counts.shape
    phi2 = max(0, statistic / count - (rows - 1) * (columns - 1) / (count - 1))
    least = min(rows - (rows - 1) ** 2 / (count - 1), columns - (columns - 1) ** 2 / (count - 1))

    assert chi_squared(counts) == pytest.approx(statistic)
    assert cramers_v(counts) == pytest.approx(min(1, np.sqrt(phi2 / (least - 1))))
    assert cramers_v(counts) <= stats.contingency.association(counts, method="cramer") + 0.05


def test_v_is_one_where_a_day_tells_the_class_and_zero_where_it_says_nothing() -> None:
    assert cramers_v(np.diag([20, 20])) == pytest.approx(1.0)
    assert cramers_v(np.full((3, 2), 7)) == 0.0
    assert cramers_v(np.array([[5], [5]])) == 0.0


def test_a_small_table_by_accident_is_not_called_associated() -> None:
    """Fifteen pictures from ten days: plain V is 0.8 on average, though class and day were drawn apart."""
    random = np.random.default_rng(2)
    plain, corrected = [], []
    for _ in range(40):
        counts = contingency(
            [str(n) for n in random.integers(0, 3, 15)], [str(n) for n in random.integers(0, 10, 15)]
        ).counts
        plain.append(stats.contingency.association(counts, method="cramer"))
        corrected.append(cramers_v(counts))

    assert np.mean(plain) > 0.7
    assert np.mean(corrected) < 0.25


def test_the_chance_is_fishers() -> None:
    """All five boars on the one day and nobody else: one way of 3,003."""
    assert chance_of(np.array([[5, 0], [0, 10]])) == pytest.approx(1 / 3003, abs=0.002)
    counts = np.array([[6, 3], [2, 7]])
    assert chance_of(counts) == pytest.approx(stats.fisher_exact(counts).pvalue, abs=0.04)
    assert chance_of(np.array([[4, 4], [4, 4]])) == 1.0


def test_a_table_that_is_mostly_empty_is_judged_as_one_that_is_not() -> None:
    """Only its filled cells are counted; a hundred classes by thousands of sizes took a minute."""
    counts = np.random.default_rng(3).integers(0, 6, (3, 5))

    wide = np.concatenate([np.zeros((3, 40), np.int64), counts], axis=1)

    assert chance_of(wide) == chance_of(counts)


def test_a_table_keeps_the_order_of_the_classes() -> None:
    table = contingency(["b", "a", "b"], ["y", "x", "x"], order=["c", "b", "a"])

    assert (table.rows, table.columns) == (("b", "a"), ("x", "y"))
    assert table.counts.tolist() == [[1, 1], [1, 0]]


def test_order_is_judged_as_scipy_and_scikit_learn_do() -> None:
    """Ranks, the area under the curve, and the chance of Kruskal and Wallis' statistic, ties and all."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 200)
    values = np.round(random.normal(size=200) + 0.22 * labels, 1)

    assert ranks(values) == pytest.approx(stats.rankdata(values))
    assert share_above(values, labels == 2) == pytest.approx(roc_auc_score(labels == 2, values))
    asymptotic = stats.kruskal(*(values[labels == index] for index in range(3))).pvalue
    assert 0.01 < asymptotic < 0.5
    assert chance_of_order(values, labels) == pytest.approx(asymptotic, abs=0.03)


def test_six_in_perfect_order_are_as_unlikely_as_can_be_counted() -> None:
    """Two ways of twenty: all small ones first, or all large ones."""
    assert chance_of_order(np.arange(6.0), np.array([0, 0, 0, 1, 1, 1])) == pytest.approx(0.1, abs=0.02)


def test_holms_chances_are_those_of_the_paper() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.5, 0.9]) == (1.0, 1.0)
    assert holm([]) == ()


def test_of_ten_accidents_the_likeliest_is_believed_once_in_twenty() -> None:
    random = np.random.default_rng(4)

    false = np.mean([min(holm(random.random(10).tolist())) < 0.05 for _ in range(4000)])

    assert false == pytest.approx(0.05, abs=0.012)
