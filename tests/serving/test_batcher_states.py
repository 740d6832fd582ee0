"""The batcher's state machine: whatever clients and devices do, every accepted entry ends exactly once."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.errors import DeadlineExceeded, DeviceLost, InferenceFailed, NotReady, QueueFull
from app.serving.batcher import Batcher
from app.serving.line import PLAIN, Answer, Lane
from app.serving.worker import Runner

SIZES = (1, 2, 4)
MAX_ENTRIES = 8
MAX_BYTES = 60
LANES = (PLAIN, Lane("dear"), Lane("alone", largest=1))


@dataclass(frozen=True)
class Job:
    number: int
    kind: str  # good | own_error | poison
    lane: Lane


@dataclass
class Call:
    job: Job
    task: "asyncio.Task[Answer[int]]"
    deadline: float
    was_cancelled_in_queue: bool = False


@dataclass
class GatedDevice:
    """Runs one batch for each permit."""

    permits: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    started: list[list[Job]] = field(default_factory=list)
    is_broken: bool = False

    def run(self, jobs: Sequence[Job]) -> Sequence[int | Exception]:
        self.started.append(list(jobs))
        assert self.permits.acquire(timeout=20)
        if self.is_broken:
            raise DeviceLost("broken")
        if any(job.kind == "poison" for job in jobs):
            raise ValueError("poison")
        return [job.number if job.kind == "good" else ArithmeticError() for job in jobs]


class BatcherStates(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.loop = self.runner.get_loop()
        self.calls: list[Call] = []

    @initialize(
        count=st.integers(1, 3),
        in_flight=st.integers(1, 2),
        has_fallback=st.booleans(),
        takes_any_thread=st.booleans(),
        closes_amid_work=st.booleans(),
    )
    def build(
        self,
        count: int,
        in_flight: int,
        has_fallback: bool,
        takes_any_thread: bool,
        closes_amid_work: bool,
    ) -> None:
        self.closes_amid_work = closes_amid_work
        self.devices = [GatedDevice() for _ in range(count)]
        self.spare = GatedDevice() if has_fallback else None
        self.batcher = Batcher[Job, int](
            "states",
            [
                Runner(str(place), device.run, in_flight=in_flight, takes_any_thread=takes_any_thread)
                for place, device in enumerate(self.devices)
            ],
            fallback=None if self.spare is None else Runner("spare", self.spare.run),
            batch_sizes=SIZES,
            max_entries=MAX_ENTRIES,
            max_bytes=MAX_BYTES,
        )
        self.batcher.start()

    @property
    def everything(self) -> list[GatedDevice]:
        return [*self.devices, *([] if self.spare is None else [self.spare])]

    @property
    def started(self) -> list[list[Job]]:
        return [batch for device in self.everything for batch in list(device.started)]

    @property
    def broken(self) -> int:
        return sum(device.is_broken for device in self.devices)

    def turn(self, seconds: float = 0.002) -> None:
        """Let the loop and the worker take a few steps."""
        self.runner.run(asyncio.sleep(seconds))

    @rule(
        kind=st.sampled_from(["good", "good", "good", "own_error", "poison"]),
        byte_count=st.integers(1, 20),
        is_hurried=st.booleans(),
        lane=st.sampled_from(LANES),
    )
    def submit(self, kind: str, byte_count: int, is_hurried: bool, lane: Lane) -> None:
        deadline = time.monotonic() + (0.01 if is_hurried else 60)
        job = Job(len(self.calls), kind, lane)
        task = self.loop.create_task(self.answered(job, byte_count, deadline))
        self.calls.append(Call(job, task, deadline))
        self.turn()

    async def answered(self, job: Job, byte_count: int, deadline: float) -> Answer[int]:
        """By a thread that can be lent, as those that read pictures."""
        with self.batcher.expecting(byte_count=byte_count, deadline=deadline, lane=job.lane) as waiting:
            if (batch := self.batcher.put(waiting, job, lends=True)) is not None:
                threading.Thread(target=batch, daemon=True).start()
            return await waiting.future

    # A number, not a choice from the pending ones: how many those are depends on time, and what is drawn must not.
    @rule(place=st.integers(0, 99))
    def leave(self, place: int) -> None:
        pending = [call for call in self.calls if not call.task.done()]
        if pending:
            call = pending[place % len(pending)]
            ran = {job.number for batch in self.started for job in batch}
            call.was_cancelled_in_queue = call.job.number not in ran
            call.task.cancel()
            self.turn()

    @rule(batches=st.integers(1, 3))
    def devices_finish(self, batches: int) -> None:
        for device in self.everything:
            device.permits.release(batches)
        self.turn()

    @rule(place=st.integers(0, 99))
    def device_breaks(self, place: int) -> None:
        device = self.devices[place % len(self.devices)]
        device.is_broken = True
        device.permits.release(2)  # what runs there, and what would run next
        self.turn()

    @rule()
    def time_passes(self) -> None:
        self.turn(0.012)

    @invariant()
    def bounds_hold(self) -> None:
        unfinished = sum(not call.task.done() for call in self.calls)
        assert self.batcher.entry_count == unfinished <= MAX_ENTRIES
        if self.broken < len(self.devices) or self.spare is not None:
            assert self.batcher.is_alive
        for batch in self.started:
            assert len({job.lane for job in batch}) == 1
            assert len(batch) <= (batch[0].lane.largest or max(SIZES))

    async def outcomes(self) -> list[object]:
        return await asyncio.gather(*(call.task for call in self.calls), return_exceptions=True)

    def teardown(self) -> None:
        for device in self.everything:
            device.permits.release(1000)
        with self.runner:
            if not self.closes_amid_work:  # nobody is woken by the end then
                self.runner.run(asyncio.wait_for(self.outcomes(), 20))
            assert self.runner.run(self.batcher.close(timeout_s=20))
            outcomes = self.runner.run(self.outcomes())
        runs = Counter(job.number for batch in self.started for job in batch)
        for call, outcome in zip(self.calls, outcomes, strict=True):
            job = call.job
            match outcome:
                case Answer():
                    assert job.kind == "good"
                    assert outcome.result == job.number
                    assert outcome.batch_size in SIZES
                case InferenceFailed():
                    # A device that was lost twice under it, or once with none left.
                    was_lost = isinstance(outcome.__cause__, DeviceLost)
                    assert self.broken > 0 if was_lost else job.kind in {"own_error", "poison"}
                case NotReady():
                    assert self.broken == len(self.devices)
                    assert self.spare is None
                case DeadlineExceeded():
                    assert time.monotonic() >= call.deadline
                case QueueFull():
                    assert runs[job.number] == 0
                case asyncio.CancelledError():
                    assert not call.was_cancelled_in_queue or runs[job.number] == 0
                case _:
                    raise AssertionError(f"job {job} ended as {outcome!r}")
            # Once in a batch, and once alone if that batch was poisoned; both again where a device was lost.
            assert runs[job.number] <= (4 if self.broken else 2)
        assert all(len(batch) in SIZES for batch in self.started)
        assert self.batcher.entry_count == 0


TestBatcherStates = BatcherStates.TestCase
TestBatcherStates.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
