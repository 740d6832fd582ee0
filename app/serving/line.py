"""The line in front of the workers: entries wait in it, workers take batches of one lane out of it.

put (event loop) -> oldest first, in lanes -> take (worker threads) -> finished, or put_back when a device was lost

Entries are batched with those of their own lane; the oldest entry leads, so no lane starves another. Who left, or whose
deadline passed, is not taken. Thread-safe; knows neither what an entry is nor what a worker does with it.
"""

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from app.errors import NotReady, ShuttingDown

EntryT = TypeVar("EntryT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Lane:
    """Entries that can run together and cost about the same each."""

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

    entry: EntryT
    lane: Lane
    deadline: float
    """time.monotonic()."""
    queued_at: float
    future: "asyncio.Future[Answer[ResultT]]"
    is_settled: bool = False
    """Its outcome is on its way to the event loop; the worker's."""
    was_retried: bool = False
    """A device was lost while it ran."""

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


class Line(Generic[EntryT, ResultT]):
    """What waits, and how many batches run."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Waiting[EntryT, ResultT]] = deque()
        self._running: Counter[Taker[EntryT, ResultT]] = Counter()
        self._is_closing = False
        self._has_ended = False
        self._abandoned: str | None = None

    @property
    def is_closing(self) -> bool:
        """Nothing new may come."""
        return self._is_closing

    def put(self, waiting: Waiting[EntryT, ResultT]) -> None:
        """Queue an entry.

        Raises:
            NotReady: there is nobody left to take it.
            ShuttingDown: it came after all was done and takers ended.
        """
        with self._changed:
            if self._has_ended:
                raise ShuttingDown("the server is shutting down; try another")
            if self._abandoned is not None:
                raise NotReady(self._abandoned)
            self._waiting.append(waiting)
            self._changed.notify_all()

    def put_back(self, batch: Sequence[Waiting[EntryT, ResultT]]) -> None:
        """Let others take what somebody could not finish, before all that came later."""
        with self._changed:
            self._waiting.extendleft(reversed(batch))
            self._changed.notify_all()

    def withdraw(self, waiting: Waiting[EntryT, ResultT]) -> None:
        """Take an entry that nobody waits for out of the line, so that its slot is free at once."""
        if waiting.is_settled:
            return  # the usual case
        with self._changed:
            # Not remove() and its error, whose text holds the entry: printing its arrays took most of the event loop.
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    def take(self, taker: Taker[EntryT, ResultT]) -> list[Waiting[EntryT, ResultT]] | None:
        """Wait for a batch; None when there will be none: closed and all done, or the taker is lost."""
        with self._changed:
            while not taker.is_lost:
                now = time.monotonic()
                # Their callers' own timers have answered, or are about to.
                self._waiting = deque(waiting for waiting in self._waiting if waiting.is_wanted(now))
                if batch := self._batch_for(taker, now):
                    self._running[taker] += 1
                    return batch
                # What runs elsewhere may come back, if a device is lost.
                if self._is_closing and not self._waiting and not self._running.total():
                    self._has_ended = True
                    return None
                self._changed.wait()
            return None

    def finished(self, taker: Taker[EntryT, ResultT]) -> None:
        """A batch that was taken is done with; others may go on, or end."""
        with self._changed:
            self._running[taker] -= 1
            self._changed.notify_all()

    def close(self) -> None:
        """Takers end when all is done."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def abandon(self, reason: str) -> list[Waiting[EntryT, ResultT]]:
        """There is nobody left; refuses what comes from now on and returns what waited."""
        with self._changed:
            self._abandoned = reason
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
            return left

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
