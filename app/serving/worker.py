"""One worker: takes batches out of the line, runs them on its device, sends every entry its own outcome.

line.take -> run (one thread for each batch that may be under way) -> event loop: result or error of each entry

A batch that fails is tried once more entry by entry, so that only the guilty one fails. A lost device ends the worker;
what it could not answer is handed over. Knows no images, no models, no devices but by name.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic

from app.errors import DeviceLost, InferenceFailed, LinesideError
from app.serving.crowds import Crowd
from app.serving.latency import LatencyModel, capped
from app.serving.line import PLAIN, Answer, EntryT, Lane, Line, ResultT, Waiting

log = logging.getLogger(__name__)

Outcome = Answer[ResultT] | Exception


@dataclass(frozen=True, slots=True)
class Runner(Generic[EntryT, ResultT]):
    """What runs batches on one device."""

    name: str
    """Of the device, for messages."""
    run: Callable[[Sequence[EntryT]], Sequence[ResultT | Exception]]
    """Takes 1..max entries of one lane, returns as many results; an exception in a result's place is that entry's own
    error. Raises DeviceLost when the device answers no more."""
    latency_s: Mapping[int, float] = field(default_factory=dict)
    """Measured seconds of a plain batch by size; empty: not measured."""
    in_flight: int = 1
    """Batches that may be under way at a time: one is copied while another is computed, or each has its own cores."""
    takes_any_thread: bool = False
    """Whether a thread that is none of the worker's may call `run`."""
    largest: int | None = None
    """Most entries of a batch: more would only be computed one part after the other."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """How one worker is."""

    name: str
    is_alive: bool
    lost: str | None
    """Why its device is out of service."""
    busy_s: float
    """How long its oldest batch has been under way; 0 when idle. Another one beside it may still be answered."""
    is_fallback: bool


class Worker(Generic[EntryT, ResultT]):
    """One runner and its threads.

    Args:
        model: for messages and threads' names.
        runner: is called on this worker's threads, and on others that it takes.
        line: what it takes from.
        batch_sizes: the sizes that may run.
        on_batch: told the size of every batch, on the thread that ran it.
        on_lost: told what was left unanswered when the device was lost, on the thread that found out; retires it.
        is_fallback: starts only when every other one is lost.
    """

    def __init__(
        self,
        model: str,
        runner: Runner[EntryT, ResultT],
        line: Line[EntryT, ResultT],
        *,
        batch_sizes: Sequence[int],
        on_batch: Callable[[int], None],
        on_lost: "Callable[[Worker[EntryT, ResultT], Sequence[Waiting[EntryT, ResultT]], DeviceLost], None]",
        is_fallback: bool = False,
    ) -> None:
        self.name = runner.name
        self._model = model
        self._runner = runner
        self._line = line
        self._batch_sizes = capped(batch_sizes, runner.largest)
        self._on_batch = on_batch
        self._on_lost = on_lost
        self._is_fallback = is_fallback
        self._latency = {PLAIN: LatencyModel(self._batch_sizes, runner.latency_s)}
        self._lost: str | None = None
        self._at_work = 0
        """Threads. Thread.is_alive tries a lock, and is_alive is asked several times for every request."""
        self._clock = threading.Lock()
        self._started: deque[float] = deque()  # of the batches that run, oldest first
        self._last_end = 0.0
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{model}-{runner.name}", daemon=True)
            for _ in range(runner.in_flight)
        ]

    # --- asked by anybody ------------------------------------------------------------------------

    def start(self) -> None:
        """Start its threads."""
        for thread in self._threads:
            self._count_threads(1)
            thread.start()

    def retire(self, reason: str) -> None:
        """Its device is lost: it takes no more."""
        self._lost = reason

    @property
    def is_lost(self) -> bool:
        """Its device is out of service."""
        return self._lost is not None

    @property
    def is_alive(self) -> bool:
        """Whether it takes batches."""
        return self._at_work > 0 and self._lost is None

    def state(self) -> WorkerState:
        """How it is now."""
        return WorkerState(self.name, self.is_alive, self._lost, self.busy_s, self._is_fallback)

    @property
    def busy_s(self) -> float:
        """How long its oldest batch has been under way; 0 when idle."""
        if not self._started:
            return 0.0
        with self._clock:
            return time.monotonic() - self._started[0] if self._started else 0.0

    def seconds(self, lane: Lane) -> float:
        """Predicted for a lone entry; 0 while nothing is known."""
        model = self._latency.get(lane)
        return 0.0 if model is None else model.seconds(1)

    @property
    def batch_s(self) -> float:
        """Predicted for a plain batch of the fastest size; 0 while nothing is known."""
        plain = self._latency[PLAIN]
        return plain.seconds(plain.fastest_size)

    def drain_s(self, counts: Mapping[Lane, int]) -> float:
        """Predicted for that many entries of each lane, if it had to do them alone; 0 while nothing is known."""
        return sum(
            model.drain_s(count)
            for lane, count in counts.items()
            if (model := self._latency.get(lane)) is not None
        )

    def join(self, until: float) -> bool:
        """Wait for its threads until that time.monotonic(); whether all have ended."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # --- asked by the line, under its lock ---------------------------------------------------------

    def batch_size(self, alike: Sequence[Waiting[EntryT, ResultT]], now: float, *, running: int) -> int:
        """How many of these it takes now; 0: none yet.

        An idle device starts at once with what is there. Behind a batch that still runs only a full one is worth
        preparing: fewer had better wait and grow while the device is busy.
        """
        model = self._model_of(alike[0].lane)
        if running and len(alike) < model.fastest_size:
            return 0
        # Those under way take each other's time, whether they share the device or wait for one another.
        return model.size_for([(waiting.deadline - now) / (1 + running) for waiting in alike])

    @property
    def takes_any_thread(self) -> bool:
        """Whether others may call `answer`."""
        return self._runner.takes_any_thread

    def answer(self, batch: Sequence[Waiting[EntryT, ResultT]]) -> None:
        """Run a batch that was taken for it out of the line, and send every entry its outcome. Raises nothing."""
        try:
            self._run(batch)
        except DeviceLost as lost:
            log.exception("%s: %s is out of service", self._model, self.name)
            self._on_lost(self, [waiting for waiting in batch if not waiting.is_settled], lost)
        except Exception:
            # Only a bug of ours comes here, after the answers are out; the worker outlives it.
            log.exception("the worker of %s survived an error", self._model)
        finally:
            self._line.finished(self)

    def fewest(self, *, running: int) -> int:
        """Plain entries of which it would take any, while it runs that many batches."""
        return self._latency[PLAIN].fastest_size if running else 1

    # --- its threads -------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while (batch := self._line.take(self)) is not None:
                self.answer(batch)
        finally:
            self._count_threads(-1)

    def _count_threads(self, more: int) -> None:
        with self._clock:
            self._at_work += more

    def _run(self, batch: Sequence[Waiting[EntryT, ResultT]]) -> None:
        started = self._begin()
        try:
            results: Sequence[ResultT | Exception] = self._checked_run(batch)
        except DeviceLost:
            self._end(started)
            raise
        except Exception as error:
            self._end(started)
            if len(batch) > 1:
                log.warning("a batch of %d failed on %s, trying each alone", len(batch), self._model)
                for waiting in batch:
                    if waiting.is_wanted(time.monotonic()):
                        self._run([waiting])
                return
            log.exception("inference failed on %s", self._model)
            results = [error]
        else:
            service_s = self._end(started)
            self._model_of(batch[0].lane).observe(len(batch), service_s)
        run_s = time.monotonic() - started
        # Little comes behind it: the event loop waits for the interpreter as long as this thread goes on with it.
        settle(
            [
                (w, r if isinstance(r, Exception) else Answer(r, len(batch), started - w.queued_at, run_s))
                for w, r in zip(batch, results, strict=True)
            ]
        )
        self._on_batch(len(batch))

    def _checked_run(self, batch: Sequence[Waiting[EntryT, ResultT]]) -> Sequence[ResultT | Exception]:
        results = self._runner.run([waiting.entry for waiting in batch])
        if len(results) != len(batch):
            raise RuntimeError(f"{self.name} gave {len(results)} results for {len(batch)} entries")
        return results

    def _begin(self) -> float:
        with self._clock:
            now = time.monotonic()
            self._started.append(now)
            return now

    def _end(self, started: float) -> float:
        """Seconds of the device that this batch took: from its start, or from the end of the one before."""
        with self._clock:
            now = time.monotonic()
            service_s = now - max(started, self._last_end)
            self._started.remove(started)
            self._last_end = now
            return service_s

    def _model_of(self, lane: Lane) -> LatencyModel:
        if lane not in self._latency:
            sizes = [size for size in self._batch_sizes if lane.largest is None or size <= lane.largest]
            self._latency[lane] = LatencyModel(sizes)
        return self._latency[lane]


def settle(outcomes: Sequence[tuple[Waiting[EntryT, ResultT], Outcome[ResultT]]]) -> None:
    """Send each entry its outcome; from any thread."""
    if not outcomes:
        return
    for waiting, _ in outcomes:
        waiting.is_settled = True
    try:
        outcomes[0][0].future.get_loop().call_soon_threadsafe(_deliver_all, outcomes)
    except RuntimeError:
        log.warning("the event loop ended before %d answers", len(outcomes))


def _deliver_all(outcomes: Sequence[tuple[Waiting[EntryT, ResultT], Outcome[ResultT]]]) -> None:
    crowd = Crowd()
    for waiting, outcome in outcomes:
        crowd.add(partial(_deliver, waiting, outcome))


def _deliver(waiting: Waiting[EntryT, ResultT], outcome: Outcome[ResultT]) -> None:
    if waiting.future.done():  # the caller left, or its deadline passed, while the batch ran
        return
    if isinstance(outcome, LinesideError):
        waiting.future.set_exception(outcome)
    elif isinstance(outcome, Exception):
        failure = InferenceFailed("the model failed on this picture")
        failure.__cause__ = outcome
        waiting.future.set_exception(failure)
    else:
        waiting.future.set_result(outcome)
