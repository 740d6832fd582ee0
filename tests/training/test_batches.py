"""An epoch shows every picture once, none alone, and what belongs together in one batch."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.training.batches import batches_of

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(("count", "size", "sizes"), [(17, 16, [9, 8]), (32, 16, [16, 16]), (3, 8, [3])])
def test_batches_are_of_nearly_equal_size(count: int, size: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in batches_of(np.arange(count), size, seed=1, epoch=0)] == sizes


@example(count=5, size=2, seed=0)
@given(count=st.integers(2, 60), size=st.integers(2, 20), seed=SEEDS)
def test_every_picture_stands_in_one_batch_and_none_is_alone(count: int, size: int, seed: int) -> None:
    """Of numbers that are not 0..N-1, as a training side's are not."""
    which = np.arange(count) * 3 + 1

    batches = batches_of(which, size, seed=seed, epoch=1)

    assert sorted(np.concatenate(batches).tolist()) == which.tolist()
    assert all(2 <= len(batch) <= size + 1 for batch in batches)


@example(sizes=[3, 3, 3, 1], room=0, seed=5)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=25), room=st.integers(0, 9), seed=SEEDS)
def test_a_group_stands_whole_in_one_batch_and_nobody_is_alone(
    sizes: list[int], room: int, seed: int
) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)[::-1].copy()
    which = np.flatnonzero(groups != len(sizes))
    size = max(2, *sizes, room)

    batches = batches_of(which, size, groups=groups, seed=seed, epoch=0)

    assert sorted(np.concatenate(batches).tolist()) == which.tolist()
    assert max(len(batch) for batch in batches) <= size + 1
    assert min(len(batch) for batch in batches) >= min(2, len(which))
    where = [set(groups[batch].tolist()) for batch in batches]
    assert sum(len(each) for each in where) == len(sizes)


def test_another_epoch_has_another_order_and_only_what_is_trained_on() -> None:
    """Ten groups of three and one of one, of which only some pictures are trained on."""
    groups = np.array([number // 3 for number in range(31)])
    which = np.arange(31)[groups != 4]

    first, second = (batches_of(which, 9, groups=groups, seed=1, epoch=epoch) for epoch in (0, 1))

    assert sorted(np.concatenate(first).tolist()) == which.tolist()
    assert [batch.tolist() for batch in first] != [batch.tolist() for batch in second]
