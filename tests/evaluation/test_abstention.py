"""Fewer answers, fewer errors: counted by hand."""

import numpy as np
import pytest

from app.evaluation.abstention import COVERAGES, Answered, error_against_coverage


def test_the_least_sure_are_left_out_first() -> None:
    """Ten pictures; the two least sure are wrong."""
    sure = np.linspace(0.95, 0.5, 10)
    probabilities = np.stack([sure, 1 - sure], axis=1)
    true = np.where(np.arange(10) >= 8, 1, 0)

    rows = error_against_coverage(probabilities, true)

    assert [(row.pictures, row.wrong) for row in rows] == [(10, 2), (9, 1), (8, 0), (7, 0), (5, 0)]
    assert [row.coverage for row in rows] == [1.0, 0.9, 0.8, 0.7, 0.5]
    assert rows[1].error == pytest.approx(1 / 9)


def test_equally_sure_pictures_are_answered_or_left_together() -> None:
    rows = error_against_coverage(np.array([[0.9, 0.1]] * 4), np.array([0, 0, 0, 1]))

    assert rows == (Answered(0.9, 4, 1, 1.0),)
    assert error_against_coverage(np.zeros((0, 2)), np.zeros(0, np.int64)) == ()


def test_every_row_keeps_its_promise() -> None:
    random = np.random.default_rng(8)
    probabilities = random.dirichlet((1, 1, 1), 500)
    true = np.array([random.choice(3, p=row) for row in probabilities])

    rows = error_against_coverage(probabilities, true)

    assert [round(row.coverage, 9) for row in rows] == list(COVERAGES)
    errors = [row.error for row in rows]
    assert errors[0] == (probabilities.argmax(1) != true).mean()
    assert errors[-1] < errors[0]
