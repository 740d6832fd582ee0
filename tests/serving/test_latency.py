"""What is predicted of batches, and which size is taken."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.serving.latency import LatencyModel

SIZES = (1, 2, 4, 8, 16)
GPU = {1: 1.0, 2: 1.1, 4: 1.3, 8: 2.0, 16: 3.0}
CPU = {1: 0.052, 2: 0.101, 4: 0.216, 8: 0.543, 16: 0.998}
"""Measured: ResNet-50 on two cores; a picture costs 50 ms in a pair and 68 ms in a batch of eight."""

tables = st.fixed_dictionaries({size: st.floats(1e-4, 10.0) for size in SIZES})
FOREVER = 1e9


def test_table_is_what_is_predicted_until_a_batch_was_seen() -> None:
    model = LatencyModel(SIZES, GPU)

    assert {size: model.seconds(size) for size in SIZES} == GPU


def test_what_slows_one_size_is_expected_of_all() -> None:
    """Another model on the device, a throttled clock: the proportions stay."""
    model = LatencyModel(SIZES, GPU)

    for _ in range(50):
        model.observe(4, 2 * GPU[4])

    assert model.seconds(16) == pytest.approx(2 * GPU[16], rel=1e-3)


def test_one_hiccup_does_not_overturn_what_is_known() -> None:
    model = LatencyModel(SIZES, GPU)

    model.observe(4, 3 * GPU[4])

    assert GPU[8] < model.seconds(8) < 2 * GPU[8]


def test_without_a_table_every_entry_weighs_the_same() -> None:
    model = LatencyModel((1, 2, 8))
    assert model.seconds(8) == 0.0
    assert model.drain_s(100) == 0.0

    model.observe(2, 0.4)

    assert (model.seconds(1), model.seconds(8)) == (pytest.approx(0.2), pytest.approx(1.6))
    assert model.drain_s(11) == pytest.approx(2.2)


@pytest.mark.parametrize(("waiting", "size"), [(1, 1), (2, 2), (3, 2), (7, 4), (15, 8), (16, 16), (99, 16)])
def test_what_is_cheaper_together_runs_together(waiting: int, size: int) -> None:
    assert LatencyModel(SIZES, GPU).size_for([FOREVER] * waiting) == size


@pytest.mark.parametrize(("waiting", "size"), [(1, 1), (2, 2), (3, 2), (16, 2), (99, 2)])
def test_size_that_is_slower_per_entry_is_not_taken(waiting: int, size: int) -> None:
    assert LatencyModel(SIZES, CPU).size_for([FOREVER] * waiting) == size


def test_of_sizes_that_only_noise_tells_apart_the_larger_runs() -> None:
    """It costs fewer rounds outside the device; a real difference counts."""
    assert LatencyModel((1, 2, 4), {1: 1.0, 2: 2.04, 4: 4.1}).size_for([FOREVER] * 9) == 4
    assert LatencyModel((1, 2, 4), {1: 1.0, 2: 2.04, 4: 4.4}).size_for([FOREVER] * 9) == 2


def test_batch_ends_before_the_earliest_deadline_in_it() -> None:
    model = LatencyModel(SIZES, GPU)

    assert model.size_for([9, 9, 9, 1.2]) == 2  # four would take 1.3; the fourth's turn comes next
    assert model.size_for([1.2, 9, 9, 9]) == 2
    assert model.size_for([1.05, 9, 9, 9]) == 1


def test_deadline_that_cannot_be_met_does_not_make_the_others_late() -> None:
    """One by one, each would be late in turn."""
    assert LatencyModel(SIZES, GPU).size_for([0.01] * 8) == 8
    assert LatencyModel(SIZES, GPU).size_for([0.01, 9, 9, 9]) == 4


def test_queue_is_drained_at_the_fastest_sizes() -> None:
    assert LatencyModel(SIZES, GPU).drain_s(16 + 16 + 4 + 1) == pytest.approx(3.0 + 3.0 + 1.3 + 1.0)
    assert LatencyModel(SIZES, CPU).drain_s(5) == pytest.approx(0.101 + 0.101 + 0.052)


@pytest.mark.parametrize(
    ("sizes", "table"), [((2,), {}), ((1, 2), {1: 0.1}), ((1,), {1: 0.0}), ((1,), {1: math.nan})]
)
def test_table_that_says_too_little_is_refused(sizes: tuple[int, ...], table: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="batch sizes"):
        LatencyModel(sizes, table)


@given(tables, st.lists(st.floats(0.0, 20.0), min_size=1, max_size=40))
def test_taken_size_is_in_time_and_no_faster_one_would_be(
    table: dict[int, float], left_s: list[float]
) -> None:
    """For any table: every deadline that could be met at all is met, at the most entries a second, but for noise."""
    model = LatencyModel(SIZES, table)

    def is_possible(size: int) -> bool:
        return size <= len(left_s) and all(left >= table[size] for left in left_s[:size] if left >= table[1])

    taken = model.size_for(left_s)

    assert is_possible(taken)
    assert all(1.051 * taken / table[taken] >= size / table[size] for size in SIZES if is_possible(size))


@given(tables, st.integers(0, 200))
def test_more_that_wait_never_take_less_time_than_the_fastest_size_allows(
    table: dict[int, float], count: int
) -> None:
    best = min(table[size] / size for size in SIZES)

    assert LatencyModel(SIZES, table).drain_s(count) >= best * count * (1 - 1e-9)
