"""Threads for pictures: every job ends once, and a second thread works where the first is not enough."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.devices import Device, call, queued, until

from app.errors import ShuttingDown
from app.serving.batcher import Batcher
from app.serving.image_threads import ImageThreads
from app.serving.worker import Runner


@dataclass(eq=False)
class Model:
    """Has work enough, or not."""

    is_supplied: bool

    def has_work_for(self, _seconds: float) -> bool:
        return self.is_supplied


@dataclass
class Work:
    """Goes on until it is let go; says when it began."""

    begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> str:
        self.begun.set()
        assert self.may_end.wait(20)
        return threading.current_thread().name


@pytest.fixture
def two() -> Iterator[ImageThreads]:
    threads = ImageThreads(2)
    yield threads
    threads.close()


def begin(threads: ImageThreads, work: Work, model: Model | None = None) -> "asyncio.Task[str]":
    return asyncio.create_task(threads.run(work, consumer=model))


async def test_result_and_error_are_the_callers(two: ImageThreads) -> None:
    def fail() -> None:
        raise LookupError("no such thing")

    assert await two.run(lambda: 7) == 7
    with pytest.raises(LookupError, match="no such thing"):
        await two.run(fail)
    assert await two.run(lambda: 8) == 8


async def test_what_its_model_can_wait_for_waits_for_the_thread_that_works(two: ImageThreads) -> None:
    model, first, second = Model(is_supplied=True), Work(), Work()
    tasks = [begin(two, first, model), begin(two, second, model)]
    await until(first.begun.is_set)
    began_beside_it = second.begun.wait(0.2)
    first.may_end.set()
    await until(second.begun.is_set)
    second.may_end.set()
    names = [await task for task in tasks]

    assert not began_beside_it
    assert names[0] == names[1]


async def test_what_its_model_needs_begins_on_another_thread(two: ImageThreads) -> None:
    model, first, second, third = Model(is_supplied=False), Work(), Work(), Work()
    tasks = [begin(two, work, model) for work in (first, second, third)]
    await until(lambda: first.begun.is_set() and second.begun.is_set())
    has_third_begun = third.begun.wait(0.1)
    for work in (first, second, third):
        work.may_end.set()
    names = {await task for task in tasks}

    assert not has_third_begun
    assert len(names) == 2


@pytest.mark.parametrize("model", [None, Model(is_supplied=False)])
async def test_what_is_needed_overtakes_what_can_wait(two: ImageThreads, model: Model | None) -> None:
    """A drawing, which nobody computes with, and the picture of a model that has nothing to do."""
    supplied, first, waiting, needed = Model(is_supplied=True), Work(), Work(), Work()
    tasks = [begin(two, first, supplied), begin(two, waiting, supplied)]
    await until(first.begun.is_set)
    tasks.append(begin(two, needed, model))
    await until(needed.begun.is_set)
    has_begun = waiting.begun.is_set()
    for work in (first, waiting, needed):
        work.may_end.set()
    await asyncio.gather(*tasks)

    assert not has_begun


async def test_second_thread_joins_when_the_model_runs_short(two: ImageThreads) -> None:
    model = Model(is_supplied=True)
    works = [Work() for _ in range(3)]
    tasks = [begin(two, work, model) for work in works]
    await until(works[0].begun.is_set)
    model.is_supplied = False
    works[0].may_end.set()
    await until(lambda: works[1].begun.is_set() and works[2].begun.is_set())
    for work in works:
        work.may_end.set()

    assert len({await task for task in tasks}) == 2


@pytest.mark.parametrize("warmed", [0, 2])
async def test_thread_joins_as_the_model_runs_short_although_none_ends_its_job(
    two: ImageThreads, warmed: int
) -> None:
    """One picture that takes for ever holds up nobody, whether the other thread is idle or was never started."""
    model, slow, small = Model(is_supplied=True), Work(), [Work() for _ in range(3)]
    before = [Work() for _ in range(warmed)]
    tasks = [begin(two, work) for work in before]
    await until(lambda: all(work.begun.is_set() for work in before))
    for work in (*before, *small):
        work.may_end.set()
    await asyncio.gather(*tasks)
    held = begin(two, slow, model)
    await until(slow.begun.is_set)
    tasks = [begin(two, work, model) for work in small]
    has_one_begun = await asyncio.to_thread(small[0].begun.wait, 0.2)
    model.is_supplied = False
    async with asyncio.timeout(10):
        names = {await task for task in tasks}

    assert not has_one_begun
    assert not held.done()
    slow.may_end.set()
    assert await held not in names


@dataclass(eq=False)
class Wavering:
    """Gets work between two looks, and has none soon after."""

    says: Iterator[bool]

    def has_work_for(self, _seconds: float) -> bool:
        return next(self.says, False)


async def test_job_that_a_thread_was_woken_for_is_looked_after_where_that_left_it(two: ImageThreads) -> None:
    """Its model was short when the job came, was not when the thread was there, and is short again."""
    slow, small = Work(), Work()
    await two.run(lambda: None)
    held = begin(two, slow)
    await until(slow.begun.is_set)
    small.may_end.set()
    waiting = asyncio.create_task(two.run(small, consumer=Wavering(iter([False, True]))))
    async with asyncio.timeout(10):
        await waiting

    assert not held.done()
    slow.may_end.set()
    await held


async def test_job_that_begins_at_once_costs_the_event_loop_no_later_turn(
    two: ImageThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line sends one picture after the other, and while one is computed the loop sleeps."""
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    call_later = loop.call_later

    def noted(delay: float, *rest: Any, **options: Any) -> asyncio.TimerHandle:
        timers.append(delay)
        return call_later(delay, *rest, **options)

    monkeypatch.setattr(loop, "call_later", noted)
    first, second = Work(), Work()
    for work in (first, second):
        work.may_end.set()
        await two.run(work, consumer=Model(is_supplied=False))
    alone = list(timers)
    first.may_end.clear()
    tasks = [begin(two, work, Model(is_supplied=True)) for work in (first, second)]
    await until(lambda: bool(timers))
    first.may_end.set()
    await asyncio.gather(*tasks)

    assert not alone


async def test_picture_is_decoded_beside_a_slow_one_once_the_queue_is_empty(two: ImageThreads) -> None:
    """The engine has answered all that was decoded."""
    device, slow, small = Device(held=True), Work(), Work()
    runner = Runner("cpu", device.run, {1: 0.1})
    batcher = Batcher[int, int]("test", [runner], batch_sizes=[1], max_entries=99, max_bytes=9999)
    batcher.start()
    calls = [call(batcher, n) for n in range(1, 9)]
    await queued(batcher, 8)
    held = asyncio.create_task(two.run(slow, consumer=batcher))
    await until(slow.begun.is_set)
    waiting = asyncio.create_task(two.run(small, consumer=batcher))
    began_before = await asyncio.to_thread(small.begun.wait, 0.2)
    device.let_go()
    await asyncio.gather(*calls)
    small.may_end.set()
    async with asyncio.timeout(10):
        await waiting

    assert not began_before
    assert not held.done()
    slow.may_end.set()
    await held
    assert await batcher.close(timeout_s=5)


async def test_what_is_handed_on_is_told_where_it_leads_to_and_its_error_at_once(two: ImageThreads) -> None:
    """The event loop hears of no step between."""
    loop = asyncio.get_running_loop()
    made: list[str] = []
    led_to = loop.create_future()
    answer = asyncio.create_task(two.hand_on(lambda: made.append("pixels"), led_to))
    await until(lambda: made == ["pixels"])
    assert await two.run(lambda: 7) == 7
    assert not answer.done()
    led_to.set_result("boar")
    assert await answer == "boar"

    def fail() -> None:
        raise LookupError("no such picture")

    with pytest.raises(LookupError, match="no such picture"):
        await two.hand_on(fail, loop.create_future())
    two.close()
    with pytest.raises(ShuttingDown):
        await two.hand_on(fail, loop.create_future())


async def test_who_leaves_before_what_he_hands_on_began_takes_it_back(two: ImageThreads) -> None:
    model, first, left = Model(is_supplied=True), Work(), Work()
    outcome = asyncio.get_running_loop().create_future()
    held = begin(two, first, model)
    await until(first.begun.is_set)
    leaver = asyncio.create_task(two.hand_on(left, outcome, consumer=model))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.wait([leaver])
    first.may_end.set()
    await held
    assert await two.run(lambda: 7, consumer=model) == 7

    assert outcome.cancelled()
    assert not left.begun.is_set()


async def test_who_leaves_before_it_began_takes_it_back(two: ImageThreads) -> None:
    model, first, left, last = Model(is_supplied=True), Work(), Work(), Work()
    tasks = [begin(two, work, model) for work in (first, left, last)]
    await until(first.begun.is_set)
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    first.may_end.set()
    last.may_end.set()
    await asyncio.gather(tasks[0], tasks[2])

    assert not left.begun.is_set()


async def test_thread_outlives_a_caller_that_left_meanwhile(two: ImageThreads) -> None:
    work = Work()
    task = begin(two, work)
    await until(work.begun.is_set)
    task.cancel()
    await asyncio.wait([task])
    work.may_end.set()

    assert await two.run(lambda: 7) == 7


async def test_closing_ends_what_waits_and_begins_nothing(two: ImageThreads) -> None:
    model, first, waiting = Model(is_supplied=True), Work(), Work()
    tasks = [begin(two, first, model), begin(two, waiting, model)]
    await until(first.begun.is_set)
    two.close()
    await asyncio.wait([tasks[1]])
    first.may_end.set()
    await tasks[0]
    with pytest.raises(ShuttingDown, match="try another"):
        await two.run(lambda: 7)

    assert tasks[1].cancelled()
    assert not waiting.begun.is_set()


async def test_all_of_many_jobs_end_whatever_their_models_have(two: ImageThreads) -> None:
    """Nothing is forgotten where threads fall idle and jobs come at the same time."""
    models = [None, Model(is_supplied=True), Model(is_supplied=False)]

    async def some(seed: int) -> int:
        done = 0
        for number in range(200):
            model = models[(seed + number) % 3]
            done += await two.run(lambda: time.sleep(0.0001) or 1, consumer=model)
        return done

    async with asyncio.timeout(60):
        assert sum(await asyncio.gather(*(some(seed) for seed in range(5)))) == 1000
