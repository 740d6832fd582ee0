"""A crowd is served one at a time, and everything else in between."""

import asyncio
import math
import time
from functools import partial

import pytest

from app.serving import crowds
from app.serving.crowds import Crowd


async def order_of(said: list[str], calls: int, *, until: int) -> list[str]:
    """What happens when so many come at once, and something else comes in each turn of the loop."""
    crowd, loop = Crowd(), asyncio.get_running_loop()

    def other(number: int) -> None:
        said.append("other")
        if number < until:
            loop.call_soon(other, number + 1)

    for number in range(calls):
        crowd.add(partial(said.append, str(number)))
    loop.call_soon(other, 1)
    for _ in range(until + 1):
        await asyncio.sleep(0)
    return said


@pytest.fixture(autouse=True)
def one_in_each_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "APART", 1)


async def test_one_of_a_crowd_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is not kept waiting."""
    monkeypatch.setattr(crowds, "SHARE_S", math.inf)

    assert await order_of([], 4, until=4) == ["0", "1", "other", "2", "other", "3", "other", "other"]


async def test_they_are_some_turns_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes several turns waits for one of them only."""
    monkeypatch.setattr(crowds, "SHARE_S", math.inf)
    monkeypatch.setattr(crowds, "APART", 3)

    assert " ".join(await order_of([], 3, until=7)) == "0 other other 1 other other other 2 other other"


async def test_more_of_them_where_a_turn_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who is let in would wait for ever behind those who are refused."""
    monkeypatch.setattr(crowds, "SHARE_S", 0.01)
    crowd, done = Crowd(), list[int]()
    for number in range(100):
        crowd.add(partial(done.append, number))
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        pass
    await asyncio.sleep(0)

    assert done == list(range(len(done)))
    assert 10 <= len(done) < 100


async def test_time_that_others_take_from_the_loop_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "SHARE_S", 0.05)
    crowd, done = Crowd(), list[int]()
    for number in range(10):
        crowd.add(partial(done.append, number))
    time.sleep(0.2)  # noqa: ASYNC251 - asleep, as a thread that has no core
    await asyncio.sleep(0)

    assert done == [0, 1]


async def test_whoever_comes_when_nobody_waits_is_served_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "APART", 50)
    crowd, done = Crowd(), list[str]()
    for _ in range(3):
        crowd.add(partial(done.append, "now"))
        done.append("after")
        await asyncio.sleep(0)

    assert done == ["now", "after"] * 3


async def test_one_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    crowd, done = Crowd(), list[str]()
    for call in (fails, partial(done.append, "1"), fails, partial(done.append, "3")):
        crowd.add(call)
    for _ in range(5):
        await asyncio.sleep(0)

    assert done == ["1", "3"]
    assert [record.message for record in caplog.records] == ["a call in its turn failed"] * 2
