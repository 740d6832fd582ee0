"""Calls on one device: alone, or beside each other, in order of arrival."""

import threading

import pytest

from app.engines.turns import Turns

PATIENCE_S = 10.0


class Caller:
    """A thread that takes a turn and stays until it is let go."""

    def __init__(self, turns: Turns, others: int | None, engine: str = "one") -> None:
        self.is_first: bool | None = None
        self.is_inside, self._may_go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._call, args=(turns, others, engine), daemon=True)
        self._thread.start()

    def _call(self, turns: Turns, others: int | None, engine: str) -> None:
        with turns if others is None else turns.beside(engine, others) as self.is_first:
            self.is_inside.set()
            self._may_go.wait(PATIENCE_S)

    def has_entered(self) -> bool:
        return self.is_inside.wait(PATIENCE_S)

    def is_kept_out(self) -> bool:
        """It has had the time to come, and to wait."""
        return not self.is_inside.wait(0.2)

    def leave(self) -> None:
        self._may_go.set()
        self._thread.join(PATIENCE_S)


@pytest.fixture
def turns() -> Turns:
    return Turns()


def test_two_that_bear_each_other_compute_at_once_and_a_third_waits(
    turns: Turns,
) -> None:
    one = Caller(turns, 1)
    assert one.has_entered()
    two = Caller(turns, 1)
    assert two.has_entered()
    three = Caller(turns, 1)
    assert (one.is_first, two.is_first) == (True, False)
    assert three.is_kept_out()
    one.leave()
    assert three.has_entered()
    assert three.is_first is False
    two.leave()
    three.leave()


@pytest.mark.parametrize("alone", [None, 0])
def test_one_that_computes_alone_bears_nobody(turns: Turns, alone: int | None) -> None:
    one = Caller(turns, alone)
    assert one.has_entered()
    two = Caller(turns, 0)
    assert two.is_kept_out()
    one.leave()
    assert two.has_entered()
    assert two.is_first
    two.leave()


def test_engines_take_turns_although_each_shares_with_itself(turns: Turns) -> None:
    """And in order: the first one's next call comes after the other's that waits."""
    one = Caller(turns, 1, "one")
    assert one.has_entered()
    other = Caller(turns, 1, "other")
    assert other.is_kept_out()
    next_one = Caller(turns, 1, "one")
    assert next_one.is_kept_out()
    one.leave()
    assert other.has_entered()
    assert other.is_first
    assert next_one.is_kept_out()
    other.leave()
    assert next_one.has_entered()
    next_one.leave()


def test_one_that_wants_to_be_alone_is_not_overtaken_by_those_that_could_share(
    turns: Turns,
) -> None:
    inside = Caller(turns, 1)
    assert inside.has_entered()
    alone = Caller(turns, None)
    assert alone.is_kept_out()
    later = Caller(turns, 1)
    assert later.is_kept_out()
    inside.leave()
    assert alone.has_entered()
    assert later.is_kept_out()
    alone.leave()
    assert later.has_entered()
    later.leave()


def test_a_turn_ends_with_an_error_too(turns: Turns) -> None:
    with pytest.raises(RuntimeError, match="broken"), turns.beside("one", 1):
        raise RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"), turns:
        raise RuntimeError("broken")
    next_one = Caller(turns, None)
    assert next_one.has_entered()
    next_one.leave()
