"""The threads that decode, resize and draw: one while the engines have enough to do, all of them where these would wait.

work of a request (event loop) -> line -> taken by a thread -> result or error (event loop), or handed on by the work itself
                                                            -> what it has next for this thread, lent to the engines

Each thread that runs Python takes the interpreter from the event loop for moments, and for milliseconds where it loses
its core meanwhile. A second picture decoded at the same time makes nothing quicker while a second's worth of them waits
for the engine, but it did hold up every refusal of an overload (docs/adr/0011-one-thread-decodes-ahead.md).
"""

import asyncio
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from app.errors import ShuttingDown
from app.serving.latency import LatencyModel
from app.serving.priority import give_way

ResultT = TypeVar("ResultT")

AHEAD: Final = 2
"""Jobs' usual time for which a model must have work: the next picture may be a slow one."""

LOOK_AGAIN_S: Final = 0.02
"""How often jobs that wait are looked at while no thread ends one, as where each has a picture that takes a second. When a
model counts as short it has work left for two batches. A look takes the event loop some 10 us."""


class Consumer(Protocol):
    """Who takes what such a thread made."""

    def has_work_for(self, seconds: float) -> bool:
        """Whether it is busy that long without it; from any thread."""


@dataclass(eq=False, slots=True)
class _Job:
    work: Callable[[], Any]
    consumer: Consumer | None
    outcome: "asyncio.Future[Any]"
    number: int
    has_begun: bool = False
    is_handed_on: bool = False
    """Its work leads to the outcome, unless it fails."""


class ImageThreads:
    """Runs functions on threads, oldest first but for what can wait.

    Args:
        count: of the threads, at most.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._changed = threading.Condition()
        self._waiting: dict[Consumer | None, deque[_Job]] = {}
        self._numbers = itertools.count()
        self._busy = 0
        self._lent = 0
        self._idle = 0
        self._pace = LatencyModel([1])
        self._next_look: asyncio.TimerHandle | None = None
        """Set while anything waits; the event loop's."""
        self._is_closed = False
        self._threads: list[threading.Thread] = []

    async def run(self, work: Callable[[], ResultT], *, consumer: Consumer | None = None) -> ResultT:
        """Its result, or what it raises. Whoever is cancelled before it began takes it back.

        Args:
            work: called on one of the threads.
            consumer: while it has work enough, this waits for a thread that works already; None: it begins as soon as
                any is free.

        Raises:
            ShuttingDown: nothing begins any more.
        """
        result: ResultT = await self._outcome_of(
            _Job(work, consumer, asyncio.get_running_loop().create_future(), next(self._numbers))
        )
        return result

    async def hand_on(
        self,
        work: Callable[[], Callable[[], None] | None],
        outcome: "asyncio.Future[ResultT]",
        *,
        consumer: Consumer | None = None,
    ) -> ResultT:
        """The outcome, to which the work leads by handing on what it made; only its error is told from here.

        Args:
            work: called on one of the threads. What it returns is called there, too, but counts as no work on images: this
                thread is lent meanwhile, and raises nothing.
            outcome: the event loop's; cancelled with its caller.
            consumer: as of `run`, whose errors it has, too.
        """
        result: ResultT = await self._outcome_of(
            _Job(work, consumer, outcome, next(self._numbers), is_handed_on=True)
        )
        return result

    @property
    def can_lend(self) -> bool:
        """Whether images can do without the thread that asks, which works on one."""
        return self._busy + self._lent < self._count

    async def _outcome_of(self, job: _Job) -> Any:
        consumer = job.consumer
        with self._changed:
            if self._is_closed:
                raise ShuttingDown("the server is shutting down; try another")
            self._waiting.setdefault(consumer, deque()).append(job)
            if not self._wake_another():
                self._see_to_it_later()
        try:
            return await job.outcome
        finally:
            if not job.has_begun:
                with self._changed:
                    if not job.has_begun:
                        self._take_out(job)

    def close(self) -> None:
        """Begin nothing more; waits for nothing."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            for line in self._waiting.values():
                for job in line:
                    job.outcome.cancel()

    def _look_again(self) -> None:
        """Models run short as time passes, and nobody tells: whoever leaves a queue would have to, thousands a second.

        On the event loop, for a thread that looked would take the interpreter from it.
        """
        with self._changed:
            if self._next_look is not None:
                self._next_look.cancel()
                self._next_look = None
            if not self._is_closed and self._waiting:
                self._wake_another()
                self._see_to_it_later()

    # --- under the lock ------------------------------------------------------------------------------

    def _see_to_it_later(self) -> None:
        """On the event loop. A job for which a thread was woken needs no look, nor the event loop a turn for it."""
        if self._next_look is None:
            self._next_look = asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._look_again)

    def _due(self) -> _Job | None:
        """The oldest that should begin now, beside those that have."""
        ahead_s = AHEAD * self._pace.seconds(1)
        due = [
            line[0]
            for consumer, line in self._waiting.items()
            if not self._busy or consumer is None or not consumer.has_work_for(ahead_s)
        ]
        return min(due, key=lambda job: job.number, default=None)

    def _take_out(self, job: _Job) -> None:
        line = self._waiting[job.consumer]
        line.remove(job)
        if not line:
            del self._waiting[job.consumer]

    def _wake_another(self) -> bool:
        """Where there is one, and work for it; whether it did."""
        if not (self._idle or len(self._threads) < self._count) or self._due() is None:
            return False
        if self._idle:
            self._idle -= 1
            self._changed.notify()
        else:
            thread = threading.Thread(target=self._work, name=f"image_{len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)
        return True

    # --- its threads -------------------------------------------------------------------------------

    def _have_a_look(self) -> None:
        """What this thread was woken for is not due any more, as its model has got work meanwhile; under the lock."""
        job = next(iter(self._waiting.values()))[0]
        with suppress(RuntimeError):  # the event loop has ended, and with it the caller
            job.outcome.get_loop().call_soon_threadsafe(self._look_again)

    def _work(self) -> None:
        give_way()
        while (job := self._take()) is not None:
            begun = time.monotonic()
            result, error = None, None
            try:
                result = job.work()
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it is the caller's
                error = raised
            if error is not None or not job.is_handed_on:
                with suppress(RuntimeError):  # the event loop has ended, and with it the caller
                    job.outcome.get_loop().call_soon_threadsafe(_deliver, job.outcome, result, error)
            rest = result if job.is_handed_on else None
            del job, result, error  # a picture; the next may be long in coming
            with self._changed:
                self._busy -= 1
                self._pace.observe(1, time.monotonic() - begun)
                if rest is not None:
                    self._lent += 1
                    self._wake_another()
            if rest is not None:
                rest()
                del rest
                with self._changed:
                    self._lent -= 1

    def _take(self) -> _Job | None:
        with self._changed:
            while not self._is_closed:
                if (job := self._due()) is not None:
                    self._take_out(job)
                    job.has_begun = True
                    self._busy += 1
                    self._wake_another()
                    return job
                if self._waiting and self._next_look is None:
                    self._have_a_look()
                self._idle += 1
                self._changed.wait()
            return None


def _deliver(outcome: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if outcome.done():  # the caller has left
        return
    if error is None:
        outcome.set_result(result)
    else:
        outcome.set_exception(error)
