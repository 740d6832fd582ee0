"""Likelihoods, orders of classes and the paired test, on arrays."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import permutation_test

from app.evaluation.likelihood import (
    LEAST_LOG_PROBABILITY,
    log_probabilities,
    of_true_class,
    plausible_orders,
    reordered,
    sign_flip_test,
)


def test_log_probabilities_are_the_softmaxs_with_a_floor() -> None:
    """A logit that is not a finite number says the least that can be said."""
    found = log_probabilities(np.array([[0.0, math.log(3)], [0.0, 100.0], [math.nan, 1.0]]))

    np.testing.assert_allclose(
        found,
        [[math.log(1 / 4), math.log(3 / 4)], [LEAST_LOG_PROBABILITY, 0], [LEAST_LOG_PROBABILITY] * 2],
        atol=1e-12,
    )


def test_an_order_says_which_output_a_class_has() -> None:
    """Class 0 at output 2, class 1 at 0, class 2 at 1: the manifest should list the classes as the outputs are."""
    rows = np.log([[0.5, 0.2, 0.3], [0.6, 0.3, 0.1]])

    found = of_true_class(rows, np.array([0, 1]), [(0, 1, 2), (2, 0, 1)])

    np.testing.assert_allclose(np.exp(found), [[0.5, 0.3], [0.3, 0.6]])
    assert reordered(("a", "b", "c"), (2, 0, 1)) == ("b", "c", "a")


def test_few_classes_are_tried_in_every_order_and_many_in_those_that_scripts_make() -> None:
    few, many = plausible_orders(["a", "b", "c"]), [str(number) for number in range(1, 13)]

    orders = {reordered(many, order) for order in plausible_orders(many)}

    assert few[0] == (0, 1, 2)
    assert set(few) == set(itertools.permutations(range(3)))
    assert plausible_orders(many)[0] == tuple(range(12))
    assert tuple(sorted(many)) in orders
    assert tuple(reversed(many)) in orders
    assert len(orders) < 10


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, st.integers(2, 10), elements=st.integers(-5, 5).map(float)))
def test_the_paired_test_is_scipys(differences: np.ndarray) -> None:
    """All signs of up to twelve differences, one-sided."""
    reference = permutation_test(
        (differences, np.zeros(len(differences))),
        lambda a, b: np.sum(a - b),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    )

    assert sign_flip_test(differences, np.zeros(len(differences))) == pytest.approx(reference.pvalue)


def test_many_pictures_are_tested_by_a_sample_of_signs() -> None:
    """A small difference in each of forty is real; the same sum from one picture alone is not."""
    each, one = np.full(40, 0.01), np.zeros(40)
    one[7] = 0.4

    assert sign_flip_test(each, np.zeros(40)) < 0.001
    assert sign_flip_test(one, np.zeros(40)) > 0.4
