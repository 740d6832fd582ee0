"""What a model does where the classes come as often as on the line."""

import numpy as np
import pytest

from app.errors import InvalidRequest
from app.evaluation.metrics import figures
from app.evaluation.prevalence import on_the_line, read_shares

CLASSES = ("ok", "dent, deep", "암")


def test_of_a_rare_class_most_calls_are_wrong() -> None:
    """90 % found and 90 % spared: in a folder of halves its precision is 0.9, of one in a hundred 0.083 (Bayes)."""
    true = np.repeat([0, 1], 100)
    predicted = np.where(np.arange(200) % 10 == 0, 1 - true, true)

    halves = on_the_line(true, predicted, np.array([0.5, 0.5]), rounds=50)
    rare = on_the_line(true, predicted, np.array([0.99, 0.01]), rounds=50)

    assert halves.precision == pytest.approx(figures(true, predicted, "ab").precision)
    assert rare.precision[1] == pytest.approx(0.01 * 0.9 / (0.01 * 0.9 + 0.99 * 0.1))
    assert rare.accuracy == pytest.approx(0.9)
    again = on_the_line(true, predicted, np.array([0.99, 0.01]), rounds=50)
    assert again.precision_intervals == rare.precision_intervals


def test_no_false_alarm_among_few_pictures_does_not_promise_none() -> None:
    true = np.repeat([0, 1], 36)

    found = on_the_line(true, true, np.array([0.99, 0.01]))

    assert found.precision[1] == found.precision_intervals[1][1] == 1.0
    assert found.precision_intervals[1][0] < 0.2


@pytest.mark.parametrize("views", [1, 10])
def test_the_true_precision_is_inside(views: int) -> None:
    """Also where ten views show one animal."""
    random, inside, shares = np.random.default_rng(3), 0, np.array([0.95, 0.05])
    rate = 0.1
    truth = 0.05 * (1 - rate) / (0.05 * (1 - rate) + 0.95 * rate)
    groups = np.repeat(np.arange(120), views)
    for _ in range(60):
        true = np.arange(120) % 2
        said = np.where(random.random(120) < rate, 1 - true, true)
        found = on_the_line(np.repeat(true, views), np.repeat(said, views), shares, groups, rounds=60)
        low, high = found.precision_intervals[1]
        inside += low <= truth <= high

    assert inside / 60 >= 0.88


def test_a_class_that_is_never_called_has_no_precision_and_one_that_never_comes_counts_nowhere() -> None:
    true, predicted = np.array([0, 0, 1, 2]), np.array([0, 0, 0, 0])

    found = on_the_line(true, predicted, np.array([0.5, 0.5, 0.0]), rounds=50)

    assert found.precision[0] == 0.5
    assert np.isnan(found.precision[1])
    assert found.accuracy == 0.5


def test_shares_are_read_by_name_or_label_whatever_they_add_up_to() -> None:
    display = {"en": {"암": "female"}}

    found = read_shares(["ok=970", "dent, deep = 20", "female=10"], CLASSES, display)

    assert found == pytest.approx([0.97, 0.02, 0.01])
    assert read_shares([], CLASSES) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["ok=1", "암=1"], "`dent, deep` comes is not said"),
        (["okay=1"], "did you mean `ok`"),
        (["ok"], "write CLASS=SHARE"),
        (["ok=-1"], "is no share"),
        (["ok=nan"], "is no share"),
        (["ok="], "nothing is no share"),
        (["ok=0", "dent, deep=0", "암=0"], "no class comes"),
    ],
)
def test_what_is_no_prevalence_is_refused(given: list[str], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_shares(given, CLASSES)
