"""Jobs that no thread was free for, or whose model had work enough, are looked at again; those that begin at once cost nothing."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from support.devices import Device, call, queued, until
from support.image_work import Model, Work, begin

from app.serving.batcher import Batcher
from app.serving.image_threads import ImageThreads
from app.serving.worker import Runner


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
