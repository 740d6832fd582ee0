"""Paired tests against SciPy and by hand."""

import numpy as np
import pytest
from scipy import stats

from app.evaluation.significance import mcnemar, sign_flip


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


@pytest.mark.parametrize(("one", "other"), [(7, 3), (0, 6), (5, 5), (30, 12)])
def test_groups_of_one_picture_are_judged_as_mcnemar_does(one: int, other: int) -> None:
    first, second = discordant(one, other)

    found = sign_flip(first, second, np.arange(len(first)))

    assert found.chance == pytest.approx(stats.binomtest(one, one + other).pvalue, abs=0.005)
    assert (found.method, found.groups, found.first_only) == ("sign-flip", len(first), one)


def test_ten_views_of_one_carcass_do_not_make_a_difference() -> None:
    """Two equally good models that differ in whole carcasses: McNemar's test called every other accident significant."""
    random = np.random.default_rng(7)
    groups = np.repeat(np.arange(12), 10)
    called, called_by_pictures = 0, 0
    for _ in range(300):
        first, second = (np.repeat(random.random(12) < 0.7, 10) for _ in range(2))
        called += sign_flip(first, second, groups).is_significant
        called_by_pictures += mcnemar(first, second).is_significant

    assert called / 300 <= 0.07
    assert called_by_pictures / 300 > 0.4
