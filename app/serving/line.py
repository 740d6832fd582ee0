"""The line in front of the workers: entries wait in it, workers take batches of one lane out of it.

put (any thread) -> oldest first, in lanes -> take (worker threads) -> finished, or put_back when a device was lost

Entries are batched with those of their own lane; the oldest entry leads, so no lane starves another. Who left, or whose
deadline passed, is not taken. Thread-safe; knows neither what an entry is nor what a worker does with it.
"""

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar

from app.errors import DeadlineExceeded, NotReady, ShuttingDown

EntryT = TypeVar("EntryT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, eq=False, slots=True)
class Lane:
    """Entries that can run together and cost about the same each; another one of that name is another lane."""

    name: str
    largest: int | None = None
    """Most of them in one batch; None: as many as any batch."""


PLAIN = Lane("plain")


@dataclass(frozen=True, slots=True)
class Answer(Generic[ResultT]):
    """One entry's result and how it came about."""

    result: ResultT
    batch_size: int
    queue_s: float
    run_s: float


@dataclass(eq=False, repr=False, slots=True)
class Waiting(Generic[EntryT, ResultT]):
    """One accepted entry on its way to its outcome."""

    lane: Lane
    deadline: float
    """time.monotonic()."""
    future: "asyncio.Future[Answer[ResultT]]"
    entry: EntryT = field(init=False)
    """From when it is put into the line."""
    queued_at: float = field(init=False)
    """time.monotonic() of that."""
    is_inside: bool = False
    """It waits or runs; the line's."""
    is_settled: bool = False
    """Its outcome is on its way to the event loop; the worker's."""
    was_retried: bool = False
    """A device was lost while it ran."""

    def give_up(self) -> None:
        """The deadline is here."""
        if self.future.done():
            return
        said = "the deadline passed before the picture could be queued"
        if self.is_inside:
            spent_s = time.monotonic() - self.queued_at
            said = f"no answer within the deadline; {spent_s:.2f} s were spent in the queue"
        self.future.set_exception(DeadlineExceeded(said))

    def is_wanted(self, now: float) -> bool:
        """Whether somebody still waits for it."""
        return self.deadline > now and not self.future.done()


class Taker(Protocol[EntryT, ResultT]):
    """Who takes batches."""

    @property
    def is_lost(self) -> bool:
        """It takes no more."""

    def seconds(self, lane: Lane) -> float:
        """Predicted for a lone entry; 0 while nothing is known."""

    def batch_size(self, alike: Sequence[Waiting[EntryT, ResultT]], now: float, *, running: int) -> int:
        """How many of these, oldest first, it takes now while it runs that many batches; 0: none yet.

        Batches of one taker take each other's time: beside one, another takes twice as long as alone.
        """

    def fewest(self, *, running: int) -> int:
        """Plain entries of which it would take any, while it runs that many batches."""

    @property
    def takes_any_thread(self) -> bool:
        """Whether a thread that is none of its own may call `answer`."""

    def answer(self, batch: Sequence[Waiting[EntryT, ResultT]]) -> None:
        """Run a batch that was taken for it, and send every entry its outcome. Raises nothing."""


class Line(Generic[EntryT, ResultT]):
    """What waits, and how many batches run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Waiting[EntryT, ResultT]] = deque()
        self._running: Counter[Taker[EntryT, ResultT]] = Counter()
        self._inside: Counter[Lane] = Counter()
        self._asleep: dict[Taker[EntryT, ResultT], _Sleepers] = {}
        self._is_closing = False
        self._has_ended = False
        self._abandoned: str | None = None

    @property
    def is_closing(self) -> bool:
        """Nothing new may come."""
        return self._is_closing

    def inside(self) -> dict[Lane, int]:
        """Entries of each lane that wait or run, as things stand; from any thread."""
        return dict(self._inside)  # at one go, before another thread changes it

    def put(
        self, waiting: Waiting[EntryT, ResultT], entry: EntryT, *, lends: bool = False
    ) -> Callable[[], None] | None:
        """Queue an entry; does nothing where its caller has left.

        Args:
            waiting: its caller's.
            entry: what it waits for.
            lends: this thread could run a batch. It saves a lone entry the waking of another one, a tenth of a millisecond.

        Returns:
            A batch that was taken for this thread to run now.

        Raises:
            NotReady: there is nobody left to take it.
            ShuttingDown: it came after all was done and takers ended.
        """
        with self._lock:
            if self._has_ended:
                raise ShuttingDown("the server is shutting down; try another")
            if self._abandoned is not None:
                raise NotReady(self._abandoned)
            if waiting.future.done():
                return None
            waiting.entry, waiting.queued_at, waiting.is_inside = entry, time.monotonic(), True
            self._inside[waiting.lane] += 1
            if lends and (taker := self._idle_for(waiting)) is not None:
                self._running[taker] += 1
                return partial(self._answered_here, taker, waiting)
            self._waiting.append(waiting)
            self._wake(all_plain=waiting.lane == PLAIN)
            return None

    def put_back(self, batch: Sequence[Waiting[EntryT, ResultT]]) -> None:
        """Let others take what somebody could not finish, before all that came later."""
        with self._lock:
            self._waiting.extendleft(reversed(batch))
            self._wake_all()

    def leave(self, waiting: Waiting[EntryT, ResultT]) -> None:
        """Nobody waits for this entry any more, answered or not: it is out of the line at once, or never comes into it."""
        with self._lock:
            waiting.future.cancel()
            if waiting.is_inside:
                waiting.is_inside = False
                self._inside[waiting.lane] -= 1
            # Not remove() and its error, whose text holds the entry: printing its arrays took most of the event loop.
            if not waiting.is_settled and waiting in self._waiting:
                self._waiting.remove(waiting)

    def take(self, taker: Taker[EntryT, ResultT]) -> list[Waiting[EntryT, ResultT]] | None:
        """Wait for a batch; None when there will be none: closed and all done, or the taker is lost."""
        with self._lock:
            while not taker.is_lost:
                now = time.monotonic()
                # Their callers' own timers have answered, or are about to.
                self._waiting = deque(waiting for waiting in self._waiting if waiting.is_wanted(now))
                if batch := self._batch_for(taker, now):
                    self._running[taker] += 1
                    self._wake(all_plain=all(one.lane == PLAIN for one in self._waiting))
                    return batch
                # What runs elsewhere may come back, if a device is lost.
                if self._is_closing and not self._waiting and not self._running.total():
                    self._has_ended = True
                    return None
                self._sleepers(taker).sleep()
            return None

    def finished(self, taker: Taker[EntryT, ResultT]) -> None:
        """A batch that was taken is done with; whoever ran it takes the next, or is lost and puts back what it had."""
        with self._lock:
            self._running[taker] -= 1
            if self._is_closing:
                self._wake_all()

    def close(self) -> None:
        """Takers end when all is done."""
        with self._lock:
            self._is_closing = True
            self._wake_all()

    def abandon(self, reason: str) -> list[Waiting[EntryT, ResultT]]:
        """There is nobody left; refuses what comes from now on and returns what waited."""
        with self._lock:
            self._abandoned = reason
            left = list(self._waiting)
            self._waiting.clear()
            self._wake_all()
            return left

    def _answered_here(self, taker: Taker[EntryT, ResultT], waiting: Waiting[EntryT, ResultT]) -> None:
        """On a thread that is lent: it takes no further batch, so somebody is woken for what has come meanwhile."""
        taker.answer([waiting])
        with self._lock:
            self._wake(all_plain=all(one.lane == PLAIN for one in self._waiting))

    # --- under the lock ------------------------------------------------------------------------------

    def _idle_for(self, waiting: Waiting[EntryT, ResultT]) -> Taker[EntryT, ResultT] | None:
        """Who would begin with this very entry, on whichever thread, for there is no other."""
        if self._waiting or self._running.total() or waiting.lane != PLAIN:
            return None
        able = (
            taker for taker, sleepers in self._asleep.items() if sleepers.count and taker.takes_any_thread
        )
        return next((taker for taker in able if not taker.is_lost), None)

    def _sleepers(self, taker: Taker[EntryT, ResultT]) -> "_Sleepers":
        if taker not in self._asleep:
            self._asleep[taker] = _Sleepers(self._lock)
        return self._asleep[taker]

    def _wake(self, *, all_plain: bool) -> None:
        """One of each taker's threads, where what waits may be enough for it; the next is its to wake.

        All of them for every entry would take the interpreter from the event loop eight times for each batch. Of lanes
        that are not plain nobody says beforehand what is enough.
        """
        if not all_plain:
            self._wake_all()
            return
        for taker, sleepers in self._asleep.items():
            if sleepers.count and len(self._waiting) >= taker.fewest(running=self._running[taker]):
                sleepers.wake(1)

    def _wake_all(self) -> None:
        for sleepers in self._asleep.values():
            sleepers.wake(sleepers.count)

    def _batch_for(self, taker: Taker[EntryT, ResultT], now: float) -> list[Waiting[EntryT, ResultT]]:
        """The oldest entry and those of its lane that run with it, out of the line.

        Entries that would be late even alone let the others go first: their work would be lost.
        """
        if not self._waiting:
            return []
        share = 1 + self._running[taker]  # as in `Taker.batch_size`
        in_time = [one for one in self._waiting if one.deadline - now >= share * taker.seconds(one.lane)]
        able = in_time or list(self._waiting)
        lane = able[0].lane
        alike = [waiting for waiting in able if waiting.lane == lane][: lane.largest]
        batch = alike[: taker.batch_size(alike, now, running=self._running[taker])]
        for waiting in batch:
            self._waiting.remove(waiting)
        return batch


class _Sleepers:
    """A taker's threads that wait for a batch, under the line's lock."""

    def __init__(self, lock: threading.Lock) -> None:
        self._changed = threading.Condition(lock)
        self.count = 0
        """That nobody has woken yet."""

    def sleep(self) -> None:
        """Until somebody wakes it."""
        self.count += 1
        self._changed.wait()

    def wake(self, count: int) -> None:
        """So many of them, at most `self.count`."""
        self.count -= count
        self._changed.notify(count)
