"""A queue in front of one device: moves opaque entries, never looks inside.

submit (event loop) -> queue, bounded -> worker thread: forms a batch -> run_batch -> each entry's own outcome

Work-conserving: an idle worker starts at once with whatever waits; while it is busy the next batch fills
up. A batch is always one of the given (warmed) sizes, the largest that the queue fills and that can end before
the earliest deadline in it, so nothing is padded. Entries wait in one line and are
batched with those of their own lane; the oldest entry leads, so no lane starves another. Every accepted entry ends exactly once: with its result, its own error, or its deadline; the entry
of a caller that left, or whose deadline passed, is not run. Knows no images, no models, no HTTP.
"""

import asyncio
import logging
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.errors import DeadlineExceeded, InferenceFailed, LinesideError, NotReady, QueueFull, ShuttingDown
from app.serving.capacity import Capacity, Hold

EntryT = TypeVar("EntryT")
ResultT = TypeVar("ResultT")

log = logging.getLogger(__name__)

SMOOTHING = 0.2
"""Weight of the newest batch in the running mean of seconds per entry."""


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


@dataclass(eq=False, slots=True)
class _Waiting(Generic[EntryT, ResultT]):
    entry: EntryT
    lane: Lane
    deadline: float  # time.monotonic()
    queued_at: float
    future: "asyncio.Future[Answer[ResultT]]"


class Batcher(Generic[EntryT, ResultT]):
    """Collects entries from an event loop and runs them in batches on one thread of its own.

    Args:
        name: of the model, for messages and the thread.
        run_batch: takes 1..max entries, returns as many results; an exception in a result's place is
            that entry's own error. When it raises, each entry of the batch is tried once alone, so that
            only the guilty one fails.
        batch_sizes: the sizes that may run; must hold 1.
        max_entries: most entries that wait or run.
        max_bytes: most bytes of such entries, as their submitters count them.
        on_batch: told the size of every batch, on the worker thread.
    """

    def __init__(
        self,
        name: str,
        run_batch: Callable[[Sequence[EntryT]], Sequence[ResultT | Exception]],
        *,
        batch_sizes: Sequence[int],
        max_entries: int,
        max_bytes: int,
        on_batch: Callable[[int], None] = lambda _size: None,
    ) -> None:
        if 1 not in batch_sizes:
            raise ValueError("batch_sizes must hold 1: a lone entry runs alone")
        self._name = name
        self._run_batch = run_batch
        self._sizes = sorted(set(batch_sizes))
        self._on_batch = on_batch
        self._capacity = Capacity(f"queue of {name}", max_entries=max_entries, max_bytes=max_bytes)
        self._queue: deque[_Waiting[EntryT, ResultT]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._batch_started: float | None = None
        self._seconds: defaultdict[Lane, float] = defaultdict(float)  # per entry, as the worker last saw them
        self._inside: Counter[Lane] = Counter()  # waiting or running; the event loop's
        self._thread = threading.Thread(target=self._work, name=f"worker-{name}", daemon=True)

    # --- the event loop's side -----------------------------------------------------------------

    def start(self) -> None:
        """Start the worker thread."""
        self._thread.start()

    @property
    def entry_count(self) -> int:
        """Entries that wait or run."""
        return self._capacity.entries

    @property
    def is_alive(self) -> bool:
        """Whether the worker thread runs."""
        return self._thread.is_alive()

    def busy_s(self) -> float:
        """For how long the present batch has been running; 0 when idle."""
        started = self._batch_started
        return 0.0 if started is None else time.monotonic() - started

    def expected_wait_s(self) -> float:
        """How long a new entry would wait, from each lane's running mean of seconds per entry; 0 when idle.

        Places that were taken early count as plain ones until their entry comes.
        """
        early = self._capacity.entries - self._inside.total()
        known = sum(count * self._seconds[lane] for lane, count in self._inside.items())
        return known + max(0, early) * self._seconds[PLAIN]

    def reserve(self, deadline: float, lane: Lane = PLAIN) -> Hold:
        """Take a place early, before any work on an entry; it counts as waiting from now on.

        Args:
            deadline: time.monotonic() after which nobody wants the answer.
            lane: of the entry to come.

        Returns:
            The place, for `submit`; whoever takes it releases it.

        Raises:
            ShuttingDown: the batcher is closing.
            NotReady: its worker died.
            QueueFull: no room, or the expected wait outlasts the deadline.
        """
        if self._closing:
            raise ShuttingDown("the server is shutting down; try another")
        if not self.is_alive:
            raise NotReady(f"the worker of {self._name} is not running; restart the server")
        wait_s = self.expected_wait_s()
        left_s = deadline - time.monotonic()
        own_s = self._seconds[lane]
        # Its own turn takes time too; but an idle device is always worth a try.
        if wait_s > 0 and wait_s + own_s > left_s and not self._capacity.is_full:
            raise QueueFull(
                f"the queue of {self._name} is {wait_s:.1f} s long, more than the {left_s:.1f} s that this "
                "request has left; try again later or allow a longer deadline",
                retry_after_s=wait_s + own_s - left_s,
            )
        return self._capacity.take(retry_after_s=wait_s)

    async def submit(
        self,
        entry: EntryT,
        *,
        byte_count: int,
        deadline: float,
        lane: Lane = PLAIN,
        place: Hold | None = None,
    ) -> Answer[ResultT]:
        """Queue one entry and wait for its outcome.

        Args:
            entry: handed to run_batch as it is.
            byte_count: memory it holds, for the bound.
            deadline: time.monotonic() after which nobody wants the answer.
            lane: what it may be batched with.
            place: reserved before and still held by the caller; without one, it is taken and released here.

        Raises:
            QueueFull, ShuttingDown, NotReady: refused, at once.
            DeadlineExceeded: not answered in time; it is not run, or its result is dropped.
            InferenceFailed: run_batch raised on this very entry.
        """
        now = time.monotonic()
        if deadline <= now:
            raise DeadlineExceeded("the deadline had passed before the picture could be queued")
        with self.reserve(deadline, lane) if place is None else nullcontext(place) as held:
            held.grow(byte_count)
            waiting = _Waiting[EntryT, ResultT](
                entry, lane, deadline, now, asyncio.get_running_loop().create_future()
            )
            self._inside[lane] += 1
            with self._changed:
                self._queue.append(waiting)
                self._changed.notify()
            try:
                async with asyncio.timeout(deadline - now):
                    return await waiting.future
            except TimeoutError:
                raise DeadlineExceeded(
                    f"no answer within the deadline; {time.monotonic() - now:.2f} s were spent in the queue"
                ) from None
            finally:
                self._inside[lane] -= 1
                self._withdraw(waiting)

    async def close(self, *, timeout_s: float) -> bool:
        """Take nothing new, finish what was accepted, end the worker; whether it ended in time."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, timeout_s)
        return not self.is_alive

    def _withdraw(self, waiting: _Waiting[EntryT, ResultT]) -> None:
        """Take an entry that nobody waits for out of the queue, so that its slot is free at once."""
        with self._changed:
            try:
                self._queue.remove(waiting)
            except ValueError:
                return  # already in a batch, the usual case

    # --- the worker thread's side --------------------------------------------------------------

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._batch_started = time.monotonic()
            try:
                self._run(batch)
            except Exception:
                # Only a bug of ours comes here, after the answers are out; the worker outlives it.
                log.exception("the worker of %s survived an error", self._name)
            finally:
                self._batch_started = None

    def _next_batch(self) -> list[_Waiting[EntryT, ResultT]] | None:
        """Wait for entries; the oldest ones, as many as the largest size they fill; None when closed."""
        with self._changed:
            while True:
                now = time.monotonic()
                # Their callers' own timers have answered, or are about to.
                self._queue = deque(w for w in self._queue if w.deadline > now and not w.future.done())
                if self._queue:
                    return self._taken(now)
                if self._closing:
                    return None
                self._changed.wait()

    def _taken(self, now: float) -> list[_Waiting[EntryT, ResultT]]:
        """The oldest entry and those of its lane that run with it, out of the queue."""
        lane = self._queue[0].lane
        alike = [waiting for waiting in self._queue if waiting.lane == lane][: lane.largest]
        batch = alike[: self._batch_size(alike, self._seconds[lane], now)]
        for waiting in batch:
            self._queue.remove(waiting)
        return batch

    def _batch_size(
        self, alike: Sequence[_Waiting[EntryT, ResultT]], seconds_per_entry: float, now: float
    ) -> int:
        fitting = [size for size in self._sizes if size <= len(alike)]
        left_s = min(waiting.deadline for waiting in alike[: fitting[-1]]) - now
        in_time = [size for size in fitting if size * seconds_per_entry <= left_s]
        return in_time[-1] if in_time else fitting[0]

    def _run(self, batch: list[_Waiting[EntryT, ResultT]]) -> None:
        started = time.monotonic()
        try:
            results = self._checked_run(batch)
        except Exception as error:
            if len(batch) > 1:
                log.warning("a batch of %d failed on %s, trying each alone", len(batch), self._name)
                for waiting in batch:
                    if not waiting.future.done() and waiting.deadline > time.monotonic():
                        self._run([waiting])
                return
            log.exception("inference failed on %s", self._name)
            results = [error]
        run_s = time.monotonic() - started
        outcomes = [
            (w, r if isinstance(r, Exception) else Answer(r, len(batch), started - w.queued_at, run_s))
            for w, r in zip(batch, results, strict=True)
        ]
        try:
            batch[0].future.get_loop().call_soon_threadsafe(_settle, outcomes)
        except RuntimeError:
            log.warning("the event loop ended before %d answers of %s", len(batch), self._name)
        per_entry = run_s / len(batch)
        known = self._seconds[batch[0].lane] or per_entry
        self._seconds[batch[0].lane] = known + SMOOTHING * (per_entry - known)
        self._on_batch(len(batch))

    def _checked_run(self, batch: list[_Waiting[EntryT, ResultT]]) -> Sequence[ResultT | Exception]:
        results = self._run_batch([waiting.entry for waiting in batch])
        if len(results) != len(batch):
            raise RuntimeError(f"run_batch gave {len(results)} results for {len(batch)} entries")
        return results


def _settle(outcomes: Sequence[tuple[_Waiting[EntryT, ResultT], Answer[ResultT] | Exception]]) -> None:
    for waiting, outcome in outcomes:
        if waiting.future.done():  # the caller left, or its deadline passed, while the batch ran
            continue
        if isinstance(outcome, LinesideError):
            waiting.future.set_exception(outcome)
        elif isinstance(outcome, Exception):
            failure = InferenceFailed("the model failed on this picture")
            failure.__cause__ = outcome
            waiting.future.set_exception(failure)
        else:
            waiting.future.set_result(outcome)
