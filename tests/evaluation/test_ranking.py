"""Areas under ROC curves against scikit-learn, and by counting how often the truth is inside."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from app.evaluation.calibration import probabilities_at
from app.evaluation.ranking import log_odds, roc_auc

COVERED = 0.88
"""Of 95 %, in 150 rounds."""


def test_areas_are_scikit_learns() -> None:
    """Of every class against the others, with ties and with a temperature."""
    random = np.random.default_rng(1)
    true = random.integers(0, 3, 200)
    logits = np.round(random.normal(size=(200, 3)) + 1.5 * np.eye(3)[true], 1).astype(np.float32)

    found = roc_auc(logits, true, temperature=2.5)

    probabilities = np.round(probabilities_at(logits, 2.5), 12)
    for index, area in enumerate(found):
        assert area.value == pytest.approx(roc_auc_score(true == index, probabilities[:, index]))
        assert area.interval[0] < area.value < area.interval[1]


def test_pictures_whose_probability_rounds_to_one_keep_their_order() -> None:
    logits = np.array([[200.0, 0.0, -1.0], [100.0, 0.0, 1.0], [0.0, 300.0, 5.0]], np.float32)

    odds = log_odds(logits)

    assert odds[0, 0] > odds[1, 0] > odds[2, 0]
    assert odds[2] == pytest.approx([-300.0, 295.0, -295.0], abs=0.01)
    assert 1 / (1 + np.exp(-log_odds(logits / 50))) == pytest.approx(probabilities_at(logits / 50))


def test_without_a_mistake_the_interval_has_a_width_and_without_pictures_nothing_is_known() -> None:
    true = np.repeat([0, 1], 20)
    logits = np.eye(3, dtype=np.float32)[true]

    first, _, never = roc_auc(logits, true)

    assert first.value == first.interval[1] == 1.0
    assert 0.8 < first.interval[0] < 0.9
    assert math.isnan(never.value)
    assert never.interval == (0.0, 1.0)


@pytest.mark.parametrize(("distance", "views"), [(2.5, 1), (1.0, 8)])
def test_the_true_area_is_inside(distance: float, views: int) -> None:
    """Also where eight views show one animal; counted as pictures, 60 of 100 had it inside."""
    random, inside = np.random.default_rng(4), 0
    truth = float(stats.norm.cdf(distance / math.sqrt(2)))
    for _ in range(150):
        true = np.arange(60) % 2
        scores = np.repeat(random.normal(size=60) + distance * true, views)
        logits = np.stack([np.zeros_like(scores), scores], axis=1)
        low, high = roc_auc(logits, np.repeat(true, views), groups=np.repeat(np.arange(60), views))[
            1
        ].interval
        inside += low <= truth <= high

    assert inside / 150 >= COVERED
