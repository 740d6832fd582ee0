"""A bound on entries and bytes, whatever order they come and go in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import QueueFull
from app.serving.capacity import Capacity, Hold


@given(st.lists(st.tuples(st.sampled_from(["take", "grow", "release"]), st.integers(0, 8)), max_size=60))
def test_counts_are_what_the_holds_hold(moves: list[tuple[str, int]]) -> None:
    """Never above the bounds, never negative, and zero when all are gone."""
    capacity = Capacity("test", max_entries=4, max_bytes=20)
    holds: list[tuple[Hold, list[int]]] = []
    for move, amount in moves:
        if move == "take":
            fits = len(holds) < 4 and sum(sum(sizes) for _, sizes in holds) < 20
            assert (capacity.refusal() is None) == fits
            try:
                holds.append((capacity.take(), []))
            except QueueFull:
                assert not fits
            else:
                assert fits
        elif holds and move == "grow":
            hold, sizes = holds[amount % len(holds)]
            try:
                hold.grow(amount)
            except QueueFull:
                pass
            else:
                sizes.append(amount)
        elif holds:
            hold, _ = holds.pop(amount % len(holds))
            hold.release()
            hold.release()  # a second time does nothing
        assert capacity.entries == len(holds)
        assert capacity.bytes == sum(sum(sizes) for _, sizes in holds) <= 20
    for hold, _ in holds:
        with hold:
            pass
    assert (capacity.entries, capacity.bytes) == (0, 0)


def test_refusal_names_what_is_full_and_when_to_come_back() -> None:
    """For Retry-After."""
    capacity = Capacity("queue of line", max_entries=1, max_bytes=10)
    capacity.take()

    refusal = capacity.refusal(retry_after_s=lambda: 7.0)

    assert refusal is not None
    assert "queue of line" in refusal.message
    assert refusal.retry_after_s == 7.0
    with pytest.raises(QueueFull, match="queue of line"):
        capacity.take()
