"""Figures of merit: the textbook's by hand, and scikit-learn's on random answers."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from app.evaluation.metrics import Figures, confusion_matrix, figures, wilson_interval

Pairs = tuple[int, NDArray[np.int64], NDArray[np.int64]]


@st.composite
def answers(draw: st.DrawFn) -> Pairs:
    """Class count, true classes, predicted classes; some classes may be neither shown nor predicted."""
    class_count = draw(st.integers(2, 6))
    index = st.integers(0, class_count - 1)
    pairs = draw(st.lists(st.tuples(index, index), min_size=1, max_size=40))
    true, predicted = np.array(pairs, dtype=np.int64).T
    return class_count, true, predicted


@settings(max_examples=50, deadline=None)
@given(answers())
def test_every_figure_is_scikit_learns(pairs: Pairs) -> None:
    """Per class over all classes; the macro F1 over those that have pictures."""
    class_count, true, predicted = pairs
    found = figures(true, predicted, [str(index) for index in range(class_count)])
    every: dict[str, Any] = {"labels": range(class_count), "average": None, "zero_division": np.nan}

    shown = np.unique(true)
    np.testing.assert_array_equal(
        found.confusion, reference.confusion_matrix(true, predicted, labels=range(class_count))
    )
    assert found.accuracy == pytest.approx(reference.accuracy_score(true, predicted))
    np.testing.assert_allclose(found.precision, reference.precision_score(true, predicted, **every))
    np.testing.assert_allclose(found.recall, reference.recall_score(true, predicted, **every))
    np.testing.assert_allclose(found.f1[shown], reference.f1_score(true, predicted, **every)[shown])
    assert found.macro_f1 == pytest.approx(
        reference.f1_score(true, predicted, labels=shown, average="macro", zero_division=np.nan)
    )


def test_figures_by_hand() -> None:
    """Rows are the true classes; a class without pictures has no recall and stays out of the mean."""
    true = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    predicted = np.array([0, 0, 0, 1, 1, 1, 0, 2])

    found = figures(true, predicted, ["a", "b", "never shown"])

    assert found.confusion.tolist() == [[3, 1, 0], [1, 2, 1], [0, 0, 0]]
    assert (found.hits, found.count, found.accuracy) == (5, 8, 5 / 8)
    np.testing.assert_allclose(found.precision, [3 / 4, 2 / 3, 0])
    np.testing.assert_allclose(found.recall, [3 / 4, 2 / 4, np.nan])
    np.testing.assert_allclose(found.f1, [6 / 8, 4 / 7, np.nan])
    assert found.macro_f1 == pytest.approx((6 / 8 + 4 / 7) / 2)
    assert found.without_pictures == ("never shown",)


def test_without_pictures_nothing_is_claimed() -> None:
    nothing = Figures(("a", "b"), np.zeros((2, 2), dtype=np.int64))

    assert math.isnan(nothing.accuracy)
    assert math.isnan(nothing.macro_f1)


@pytest.mark.parametrize("outside", [-1, 2])
def test_a_class_that_is_none_is_our_bug(outside: int) -> None:
    """Counted into a neighbour's cell, it would go unseen."""
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        confusion_matrix(np.array([0]), np.array([outside]), 2)


def test_the_interval_is_wilsons() -> None:
    """The examples of Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }

    for (hits, count), interval in published.items():
        assert wilson_interval(hits, count) == pytest.approx(interval, abs=5e-5)
