"""What the line in front of the workers gives to whom."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from support.devices import until

from app.serving.line import PLAIN, Lane, Line, Waiting


class WithThreads:
    """Of its own, and no others."""

    takes_any_thread = False

    def answer(self, batch: Sequence[object]) -> None:
        raise AssertionError(batch)


async def test_entries_that_are_late_anyhow_let_others_go_first() -> None:
    """Their work would be lost; an idle device tries them all the same."""

    class Taker(WithThreads):
        is_lost = False

        def seconds(self, _lane: Lane) -> float:
            return 0.5

        def fewest(self, *, running: int) -> int:
            return 1 + running

        def batch_size(self, alike: Sequence[object], _now: float, *, running: int) -> int:
            return len(alike) if not running else 0

    line, now = Line[int, int](), time.monotonic()
    future = asyncio.get_running_loop().create_future
    for number, left_s in enumerate((0.4, 30.0, 0.3, 30.0)):
        line.put(Waiting(PLAIN, now + left_s, future()), number)
    line.close()  # so that nobody waits for what does not come
    taker, taken = Taker(), []
    for _ in range(2):
        batch = line.take(taker)
        assert batch is not None
        taken.append([waiting.entry for waiting in batch])
        line.finished(taker)

    assert taken == [[1, 3], [0, 2]]


async def test_entries_that_are_late_beside_a_running_batch_let_others_go_first() -> None:
    """Two batches of one device take each other's time: what would be in time alone is not beside another."""

    class Taker(WithThreads):
        is_lost = False

        def seconds(self, _lane: Lane) -> float:
            return 0.5

        def fewest(self, *, running: int) -> int:
            return 1 + running

        def batch_size(self, alike: Sequence[object], _now: float, *, running: int) -> int:
            return 1 if running < 2 else 0

    line, now = Line[int, int](), time.monotonic()
    future = asyncio.get_running_loop().create_future
    for number, left_s in enumerate((30.0, 0.9, 30.0)):
        line.put(Waiting(PLAIN, now + left_s, future()), number)
    taker, taken = Taker(), []
    for _ in range(2):
        batch = line.take(taker)
        assert batch is not None
        taken += [waiting.entry for waiting in batch]

    assert taken == [0, 2]


class FullBatches(WithThreads):
    """Begins with whatever there is while it is idle, else with four; counts how often a thread of it looks."""

    def __init__(self) -> None:
        self.looks = 0
        self.is_lost_now = False

    @property
    def is_lost(self) -> bool:
        self.looks += 1
        return self.is_lost_now

    def seconds(self, _lane: Lane) -> float:
        return 0.001

    def fewest(self, *, running: int) -> int:
        return 4 if running else 1

    def batch_size(self, alike: Sequence[object], _now: float, *, running: int) -> int:
        full = alike[0].lane.largest or 4  # type: ignore[attr-defined]
        return min(len(alike), full) if not running or len(alike) >= full else 0


@contextmanager
def threads_of(
    taker: FullBatches, line: Line[int, int], count: int
) -> Iterator[tuple[list[list[int]], threading.Semaphore]]:
    """So many of its threads; the batches that they took, and what they ask each before it ends."""
    taken: list[list[int]] = []
    may_end = threading.Semaphore(0)

    def work() -> None:
        while (batch := line.take(taker)) is not None:
            taken.append([waiting.entry for waiting in batch])
            assert may_end.acquire(timeout=20)
            line.finished(taker)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield taken, may_end
    finally:
        may_end.release(100)
        line.close()
        for thread in threads:
            thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def put(line: Line[int, int], number: int, lane: Lane = PLAIN) -> None:
    line.put(Waiting(lane, time.monotonic() + 30, asyncio.get_running_loop().create_future()), number)


async def test_only_a_thread_that_could_begin_is_woken() -> None:
    """Woken for every entry, all of them would take the interpreter from the event loop."""
    line, taker = Line[int, int](), FullBatches()
    with threads_of(taker, line, 3) as (taken, _):
        await until(lambda: taker.looks == 3)  # each sees that there is nothing
        put(line, 0)
        await until(lambda: taken == [[0]])
        for number in (1, 2, 3):
            put(line, number)
        await asyncio.sleep(0.1)
        assert taker.looks == 4  # the one that began, and looks no more while it runs

        put(line, 4)
        await until(lambda: taken == [[0], [1, 2, 3, 4]])
        assert taker.looks == 5


async def test_a_thread_that_began_wakes_the_next_where_enough_is_left() -> None:
    line, taker = Line[int, int](), FullBatches()
    for number in range(9):
        put(line, number)
    with threads_of(taker, line, 3) as (taken, _):
        await until(lambda: sorted(taken) == [[0, 1, 2, 3], [4, 5, 6, 7]])

    assert sorted(taken) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


async def test_what_runs_alone_is_not_left_lying_behind_what_does_not_fill_a_batch() -> None:
    """Another thread may begin with it as soon as those before it are taken, few as they are."""
    line, taker, alone = Line[int, int](), FullBatches(), Lane("alone", largest=1)
    with threads_of(taker, line, 2) as (taken, may_end):
        await until(lambda: taker.looks == 2)
        put(line, 0)
        await until(lambda: taken == [[0]])
        put(line, 1)
        put(line, 2, alone)
        may_end.release()

        await until(lambda: taken == [[0], [1], [2]])


async def test_who_left_before_its_entry_was_made_is_not_queued_nor_counted() -> None:
    """The thread that makes it hears nothing of that."""
    line, future = Line[int, int](), asyncio.get_running_loop().create_future()
    waiting = Waiting[int, int](PLAIN, time.monotonic() + 30, future)
    line.leave(waiting)
    line.put(waiting, 1)
    put(line, 2)
    line.close()
    batch = line.take(FullBatches())

    assert batch is not None
    assert [one.entry for one in batch] == [2]
    assert line.inside() == {PLAIN: 1}
    line.leave(batch[0])
    assert line.inside() == {PLAIN: 0}
