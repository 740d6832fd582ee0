"""A queue in front of one or several devices: moves opaque entries, never looks inside.

submit, or expecting (event loop) and put (any thread) -> line, bounded -> worker threads: form a batch -> runner
    -> each entry's own outcome

Work-conserving: an idle worker starts at once with whatever waits; while all are busy the next batch fills up. A batch
is always one of the given (warmed) sizes, so nothing is padded; which one, `latency` says. Every accepted entry ends
exactly once: with its result, its own error, or its deadline; the entry of a caller that left, or whose deadline
passed, is not run. What a lost device could not answer is tried once more on another one, or on the fallback. Knows no
images, no models, no HTTP.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic

from app.errors import (
    DeadlineExceeded,
    DeviceLost,
    InferenceFailed,
    NotReady,
    QueueFull,
    ShuttingDown,
    Unavailable,
)
from app.serving.capacity import Capacity, Hold
from app.serving.expecting import Expecting
from app.serving.latency import together_s
from app.serving.line import PLAIN, Answer, EntryT, Lane, Line, ResultT, Waiting
from app.serving.worker import Outcome, Runner, Worker, WorkerState, settle

HEADROOM = 1.2
"""How much longer than predicted the wait may turn out. What refuses, decodes and answers takes the cores from what
computes; a queue that is let in to the last second is answered too late, and its work is lost."""


class Batcher(Generic[EntryT, ResultT]):
    """Collects entries from an event loop and runs them in batches, one worker for each runner.

    Args:
        name: of the model, for messages and threads.
        runners: one for each device; whichever is idle takes the next batch.
        fallback: runs only when every one of them is lost.
        batch_sizes: the sizes that may run; must hold 1.
        max_entries: most entries that wait or run.
        max_bytes: most bytes of such entries, as their submitters count them.
        on_batch: told the size of every batch, on a worker's thread.
    """

    def __init__(
        self,
        name: str,
        runners: Sequence[Runner[EntryT, ResultT]],
        *,
        fallback: Runner[EntryT, ResultT] | None = None,
        batch_sizes: Sequence[int],
        max_entries: int,
        max_bytes: int,
        on_batch: Callable[[int], None] = lambda _size: None,
    ) -> None:
        if not runners:
            raise ValueError("a batcher needs a runner")
        self._name = name
        self._capacity = Capacity(f"queue of {name}", max_entries=max_entries, max_bytes=max_bytes)
        self._line = Line[EntryT, ResultT]()
        self._outage = threading.Lock()  # workers may be lost at the same time

        def worker(runner: Runner[EntryT, ResultT], *, is_fallback: bool) -> Worker[EntryT, ResultT]:
            return Worker(
                name,
                runner,
                self._line,
                batch_sizes=batch_sizes,
                on_batch=on_batch,
                on_lost=self._lost,
                is_fallback=is_fallback,
            )

        self._workers = [worker(runner, is_fallback=False) for runner in runners]
        self._fallback = None if fallback is None else worker(fallback, is_fallback=True)
        self._is_on_fallback = False

    def start(self) -> None:
        """Start the workers' threads."""
        for worker in self._workers:
            worker.start()

    @property
    def entry_count(self) -> int:
        """Entries that wait or run."""
        return self._capacity.entries

    @property
    def departures(self) -> int:
        """Places that were given back so far."""
        return self._capacity.departures

    @property
    def is_alive(self) -> bool:
        """Whether any worker takes batches."""
        return bool(self._living())

    def states(self) -> tuple[WorkerState, ...]:
        """How each worker is; the fallback is among them once it had to start."""
        return tuple(worker.state() for worker in self._started())

    def answers_within(self, seconds: float) -> bool:
        """Whether any worker takes batches and has none under way for longer."""
        return any(worker.is_alive and worker.busy_s <= seconds for worker in self._started())

    def has_work_for(self, seconds: float) -> bool:
        """Whether what is in the queue keeps the workers busy that long, and then still fills a batch.

        What runs counts in full: nobody knows how far it is, so one more batch is asked for. From any thread.
        """
        living, inside = self._living(), self._line.inside()
        batch_s = max((worker.batch_s for worker in living), default=0.0)
        return together_s([worker.drain_s(inside) for worker in living]) > seconds + 2 * batch_s

    def reserve(self, deadline: float | None, lane: Lane = PLAIN) -> Hold:
        """Take a place early, before any work on an entry; it counts as waiting from now on.

        Args:
            deadline: time.monotonic() after which nobody wants the answer; None: however long the wait may be.
            lane: of the entry to come.

        Returns:
            The place, for `submit`, which gives it back; whoever takes it and submits nothing releases it.

        Raises:
            ShuttingDown: the batcher is closing.
            NotReady: no worker is left.
            QueueFull: no room, or the expected wait outlasts the deadline.
        """
        if (refusal := self.refusal(deadline, lane)) is not None:
            raise refusal
        return self._capacity.take()

    def refusal(self, deadline: float | None, lane: Lane = PLAIN, *, expected: int = 0) -> Unavailable | None:
        """What `reserve` would raise now, once so many plain entries more had their places; None: there is a place."""
        if self._line.is_closing:
            return ShuttingDown("the server is shutting down; try another")
        living = self._living()
        if not living:
            return NotReady(self._nobody_left())
        if not self._capacity.entries and not expected:
            return None  # an idle device is always worth a try
        full = self._capacity.refusal(
            expected=expected, retry_after_s=lambda: HEADROOM * self._wait_s(living, expected)
        )
        if full is not None or deadline is None:
            return full
        wait_s = HEADROOM * self._wait_s(living, expected)
        left_s = deadline - time.monotonic()
        own_s = min(worker.seconds(lane) for worker in living)
        # Its own turn takes time too; but of one whose pace nobody knows yet, anything may be hoped.
        if wait_s > 0 and wait_s + own_s > left_s:
            return QueueFull(
                f"the wait in the queue of {self._name} may take {wait_s:.1f} s, more than the {left_s:.1f} s that this "
                "request has left; try again later or allow a longer deadline",
                retry_after_s=wait_s + own_s - left_s,
            )
        return None

    async def submit(
        self,
        entry: EntryT,
        *,
        byte_count: int,
        deadline: float,
        lane: Lane = PLAIN,
        place: Hold | None = None,
    ) -> Answer[ResultT]:
        """Queue one entry and wait for its outcome; arguments and errors as `expecting`, and those of `put`."""
        with self.expecting(byte_count=byte_count, deadline=deadline, lane=lane, place=place) as waiting:
            self.put(waiting, entry)
            return await waiting.future

    def expecting(
        self, *, byte_count: int, deadline: float, lane: Lane = PLAIN, place: Hold | None = None
    ) -> Expecting[EntryT, ResultT]:
        """What an entry waits in that is yet to be made, perhaps on another thread, which puts it into the queue itself.

        Its future has the outcome; whoever leaves the `with` block waits for it no longer.

        Args:
            byte_count: memory the entry will hold, for the bound.
            deadline: time.monotonic() after which nobody wants the answer.
            lane: what it may be batched with.
            place: reserved before, for this entry; None: taken now. Free again with the outcome: what its caller still
                does with the answer is no work of this queue.

        Raises:
            QueueFull, ShuttingDown, NotReady: refused, at once.
            DeadlineExceeded: it had passed.

        The future raises:
            DeadlineExceeded: not answered in time; it is not run, or its result is dropped.
            NotReady: the last device was lost before its turn came.
            InferenceFailed: the runner raised on this very entry, or every device that tried it was lost.
        """
        now = time.monotonic()
        if deadline <= now:
            raise DeadlineExceeded("the deadline had passed before the picture could be queued")
        held = self.reserve(deadline, lane) if place is None else place
        try:
            held.grow(byte_count)
        except QueueFull:
            held.release()
            raise
        loop = asyncio.get_running_loop()
        # No Waiting[EntryT, ResultT](...): such a call goes through typing, for every entry.
        waiting: Waiting[EntryT, ResultT] = Waiting(lane, deadline, loop.create_future())
        # asyncio.timeout, which cancels the task, takes 5.6 us where this takes 1.7 (uvloop, a future that is done).
        return Expecting(self._line, waiting, held, loop.call_later(deadline - now, waiting.give_up))

    def put(
        self, waiting: Waiting[EntryT, ResultT], entry: EntryT, *, lends: bool = False
    ) -> Callable[[], None] | None:
        """Queue what was expected, handed to a runner as it is; from any thread. Arguments, results and errors as Line.put."""
        return self._line.put(waiting, entry, lends=lends)

    async def close(self, *, timeout_s: float) -> bool:
        """Take nothing new, finish what was accepted, end the workers; whether they ended in time."""
        self._line.close()
        return await asyncio.to_thread(self._join, time.monotonic() + timeout_s)

    def _wait_s(self, living: Sequence[Worker[EntryT, ResultT]], expected: int) -> float:
        """How long a new entry would wait for those inside and expected, at the living workers' speed; 0 when idle.

        Places that were taken early count as plain ones until their entry comes.
        """
        counts = self._line.inside()
        early = self._capacity.entries - sum(counts.values())
        counts[PLAIN] = counts.get(PLAIN, 0) + max(0, early) + expected
        return together_s([worker.drain_s(counts) for worker in living])

    def _join(self, until: float) -> bool:
        # The fallback last: it may have to start while the others end.
        everyone = [*self._workers, *([] if self._fallback is None else [self._fallback])]
        return all(worker.join(until) for worker in everyone)

    def _started(self) -> list[Worker[EntryT, ResultT]]:
        fallback = [self._fallback] if self._fallback is not None and self._is_on_fallback else []
        return [*self._workers, *fallback]

    def _living(self) -> list[Worker[EntryT, ResultT]]:
        return [worker for worker in self._started() if worker.is_alive]

    def _nobody_left(self) -> str:
        lost = [f"{worker.name} is out of service" for worker in self._started() if worker.is_lost]
        return (
            f"no worker of {self._name} is running{''.join(f'; {one}' for one in lost)}; restart the server"
        )

    def _lost(
        self,
        worker: Worker[EntryT, ResultT],
        unanswered: Sequence[Waiting[EntryT, ResultT]],
        lost: DeviceLost,
    ) -> None:
        """Try what a lost device left once more elsewhere; on that worker's thread."""
        with self._outage:
            # Before the worker counts as lost, so that nobody is refused in between.
            if self._fallback is not None and not self._is_on_fallback and self._living() in ([], [worker]):
                self._fallback.start()
                self._is_on_fallback = True
            worker.retire(lost.message)
            is_anybody_left = bool(self._living())
            again = [waiting for waiting in unanswered if is_anybody_left and not waiting.was_retried]
            for waiting in again:
                waiting.was_retried = True
            self._line.put_back(again)
            outcomes: list[tuple[Waiting[EntryT, ResultT], Outcome[ResultT]]] = []
            for waiting in unanswered:
                if waiting not in again:
                    failure = InferenceFailed("every device that tried this picture was lost")
                    failure.__cause__ = lost
                    outcomes.append((waiting, failure))
            if not is_anybody_left:
                reason = self._nobody_left()
                outcomes += [(waiting, NotReady(reason)) for waiting in self._line.abandon(reason)]
            settle(outcomes)
