"""What calibration promises: a temperature that mends an overconfident model, and an honest measure of it."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from app.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    probabilities_at,
    reliability,
)

Scored = tuple[NDArray[np.float64], NDArray[np.int64]]


def calibrated(count: int, seed: int) -> Scored:
    """Logits whose softmax is exactly the chance of each label."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (count, 4))
    chances = probabilities_at(logits).cumsum(axis=1)
    return logits, (random.random((count, 1)) > chances[:, :3]).sum(axis=1)


def error_of(logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float = 1.0) -> float:
    return expected_calibration_error(reliability(probabilities_at(logits, temperature), labels))


@pytest.mark.parametrize("exaggeration", [0.5, 3.0, 6.0])
def test_the_temperature_undoes_an_exaggeration(exaggeration: float) -> None:
    logits, labels = calibrated(6_000, seed=1)

    temperature = fit_temperature(exaggeration * logits, labels)

    assert temperature == pytest.approx(exaggeration, rel=0.08)


def test_an_overconfident_model_loses_more_than_half_of_its_error_on_other_pictures() -> None:
    logits, labels = calibrated(4_000, seed=2)
    temperature = fit_temperature(4 * logits[:2_000], labels[:2_000])

    before = error_of(4 * logits[2_000:], labels[2_000:])
    after = error_of(4 * logits[2_000:], labels[2_000:], temperature)

    assert before > 0.15
    assert after < before / 2


def test_the_temperature_is_the_best_there_is() -> None:
    logits, labels = calibrated(500, seed=3)

    temperature = fit_temperature(2 * logits, labels)

    losses = [
        log_loss(labels, probabilities_at(2 * logits, temperature * factor)) for factor in (0.98, 1, 1.02)
    ]
    assert losses[1] == min(losses)


def test_a_temperature_changes_no_class() -> None:
    logits, _ = calibrated(100, seed=4)

    assert (probabilities_at(logits, 3.7).argmax(1) == logits.argmax(1)).all()


def test_where_every_picture_is_right_nothing_makes_the_model_surer() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 2.0]])

    assert fit_temperature(logits, np.array([0, 1])) == 1.0


def test_bins_hold_every_picture_once_and_the_error_is_theirs() -> None:
    """By hand: two pictures at 0.95 of which one is right, one at 0.6 that is right."""
    shares = np.array([[0.95, 0.05], [0.95, 0.05], [0.4, 0.6]])

    bins = reliability(shares, np.array([0, 1, 1]), bins=10)

    assert [each.count for each in bins] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert (bins[9].confidence, bins[9].accuracy) == (pytest.approx(0.95), 0.5)
    assert expected_calibration_error(bins) == pytest.approx((2 * 0.45 + 0.4) / 3)


def test_a_certain_answer_lies_in_the_last_bin() -> None:
    assert reliability(np.array([[1.0, 0.0]]), np.array([0]))[-1].count == 1


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((0, 2)), []),
        (np.zeros((2, 2)), [0]),
        (np.zeros((1, 2)), [2]),
        (np.full((1, 2), np.nan), [0]),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(logits: NDArray[np.float64], labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"scores|logit|label"):
        fit_temperature(logits, np.array(labels, int))
