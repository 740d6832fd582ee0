"""Who is let into the queue: bounds, and how long the wait is taken to be."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from support.devices import Device, call, queued, running_batcher

from app.errors import DeadlineExceeded, InferenceFailed, QueueFull, ShuttingDown
from app.serving.batcher import Batcher
from app.serving.line import Lane
from app.serving.worker import Runner


async def test_dear_lane_does_not_make_a_plain_entry_look_late() -> None:
    """Each lane has its own speed; the wait is what those inside will take."""
    device, dear = Device(), Lane("dear")
    original = device.run

    def run(entries: Sequence[int]) -> Sequence[int | Exception]:
        time.sleep(0.3 if entries[0] >= 100 else 0.01)
        return original(entries)

    batcher = Batcher[int, int]("test", [Runner("cpu", run)], batch_sizes=[1], max_entries=99, max_bytes=9999)
    batcher.start()
    await call(batcher, 1)
    await call(batcher, 100, lane=dear)
    calls = [call(batcher, n) for n in range(2, 6)]
    await queued(batcher, 4)

    assert (await call(batcher, 7, within_s=0.3)).result == 14
    with pytest.raises(QueueFull):
        await asyncio.gather(call(batcher, 8), call(batcher, 101, within_s=0.2, lane=dear))
    await asyncio.gather(*calls)
    assert await batcher.close(timeout_s=5)


async def test_deadline_that_has_passed_is_refused_at_once() -> None:
    """Nothing is queued for an answer that cannot be in time."""
    async with running_batcher(Device()) as batcher:
        with pytest.raises(DeadlineExceeded, match="before the picture could be queued"):
            await call(batcher, 1, within_s=-1.0)


@pytest.mark.parametrize(("max_entries", "max_bytes"), [(2, 1000), (100, 20)])
async def test_full_queue_refuses_at_once(max_entries: int, max_bytes: int) -> None:
    """Bounded by entries and by bytes, both without waiting; room is there again after an answer."""
    device = Device(held=True)
    async with running_batcher(device, max_entries=max_entries, max_bytes=max_bytes) as batcher:
        calls = [call(batcher, n) for n in (1, 2)]
        await queued(batcher, 2)

        with pytest.raises(QueueFull) as refusal:
            await call(batcher, 3)
        device.let_go()
        await asyncio.gather(*calls)

        assert refusal.value.retry_after_s >= 0
        assert (await call(batcher, 4)).result == 8


async def test_wait_that_would_outlast_the_deadline_is_refused_at_once() -> None:
    """Once the device's speed is known, an entry that cannot be in time is not queued."""
    device = Device()
    original = device.run

    def slow(entries: Sequence[int]) -> Sequence[int | Exception]:
        time.sleep(0.1)
        return original(entries)

    batcher = Batcher[int, int](
        "test", [Runner("cpu", slow)], batch_sizes=[1], max_entries=99, max_bytes=9999
    )
    batcher.start()
    await call(batcher, 1)
    calls = [call(batcher, n) for n in range(5)]
    await queued(batcher, 5)

    with pytest.raises(QueueFull, match="allow a longer deadline"):
        await call(batcher, 7, within_s=0.2)

    assert not any(isinstance(o, QueueFull) for o in await asyncio.gather(*calls, return_exceptions=True))
    assert (await call(batcher, 7, within_s=0.5)).result == 14
    assert await batcher.close(timeout_s=5)


async def test_wait_is_taken_longer_than_predicted() -> None:
    """What refuses and decodes slows down what computes: a queue let in to its last second is answered too late."""
    device = Device(held=True)
    runner = Runner("cpu", device.run, {1: 0.1})
    batcher = Batcher[int, int]("test", [runner], batch_sizes=[1], max_entries=99, max_bytes=9999)
    batcher.start()
    calls = [call(batcher, n) for n in range(5)]
    await queued(batcher, 5)

    with pytest.raises(QueueFull):
        batcher.reserve(time.monotonic() + 0.65)
    batcher.reserve(time.monotonic() + 0.75).release()
    device.let_go()
    await asyncio.gather(*calls, return_exceptions=True)
    assert await batcher.close(timeout_s=5)


async def test_queue_has_work_while_a_batch_is_left_behind_those_that_run() -> None:
    """What is decoded counts, places of those to come do not."""
    device = Device(held=True)
    runner = Runner("cpu", device.run, {1: 0.1, 2: 0.15, 4: 0.2})
    batcher = Batcher[int, int]("test", [runner], batch_sizes=[1, 2, 4], max_entries=99, max_bytes=9999)
    batcher.start()
    calls = [call(batcher, n) for n in range(8)]
    await queued(batcher, 8)
    places = [batcher.reserve(time.monotonic() + 9) for _ in range(20)]
    had_work = batcher.has_work_for(0.0)
    calls += [call(batcher, n) for n in range(8, 16)]
    await queued(batcher, 36)

    assert not had_work
    assert batcher.has_work_for(0.3)
    assert not batcher.has_work_for(0.5)
    for place in places:
        place.release()
    device.let_go()
    await asyncio.gather(*calls, return_exceptions=True)
    assert not batcher.has_work_for(0.0)
    assert await batcher.close(timeout_s=5)


async def test_place_counts_from_its_reservation_and_comes_free_with_its_outcome() -> None:
    """A request that still uploads is ahead of the next one; one that is still drawn is not."""
    async with running_batcher(Device(), max_entries=1) as batcher:
        with batcher.reserve(time.monotonic() + 5) as place:
            with pytest.raises(QueueFull):
                batcher.reserve(time.monotonic() + 5)
            answer = await batcher.submit(3, byte_count=10, deadline=time.monotonic() + 5, place=place)
            count_with_the_answer = batcher.entry_count
            batcher.reserve(time.monotonic() + 5).release()

        assert answer.result == 6
        assert count_with_the_answer == 0
        assert batcher.entry_count == 0


async def test_place_comes_free_with_an_error_as_well() -> None:
    """Its holder may go on with something else."""
    async with running_batcher(Device(), max_entries=1) as batcher:
        with batcher.reserve(time.monotonic() + 5) as place:
            with pytest.raises(InferenceFailed):
                await batcher.submit(-1, byte_count=10, deadline=time.monotonic() + 5, place=place)

            assert batcher.entry_count == 0


async def test_nobody_waits_for_those_whose_answers_are_out() -> None:
    """Twenty that were answered, each still held by its request: an entry that comes now runs at once."""

    def run(entries: Sequence[int]) -> Sequence[int]:
        time.sleep(0.02)
        return entries

    runner = Runner("cpu", run, {1: 0.02})
    batcher = Batcher[int, int]("test", [runner], batch_sizes=[1], max_entries=99, max_bytes=9999)
    batcher.start()
    places = [batcher.reserve(None) for _ in range(20)]
    refusal_before = batcher.refusal(time.monotonic() + 0.3)
    await asyncio.gather(
        *(
            batcher.submit(n, byte_count=1, deadline=time.monotonic() + 30, place=place)
            for n, place in enumerate(places)
        )
    )

    assert isinstance(refusal_before, QueueFull)
    assert batcher.refusal(time.monotonic() + 0.3) is None
    assert await batcher.close(timeout_s=5)


async def test_entry_that_comes_after_the_end_is_refused_at_once() -> None:
    """Its place was taken before; nobody is left to run it, and it does not wait for its deadline."""
    async with running_batcher(Device()) as batcher:
        place = batcher.reserve(None)
        assert await batcher.close(timeout_s=5)

        async with asyncio.timeout(10):
            with pytest.raises(ShuttingDown):
                await batcher.submit(1, byte_count=1, deadline=time.monotonic() + 30, place=place)
        assert batcher.entry_count == 0


async def test_entry_whose_place_was_taken_before_the_end_is_answered_while_others_run() -> None:
    """Closing refuses new ones; those who were let in find the workers still there."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        running = call(batcher, 1)
        await device.entered()
        place = batcher.reserve(None)
        closing = asyncio.create_task(batcher.close(timeout_s=20))
        while batcher.refusal(None) is None:  # noqa: ASYNC110 - the line says so, no event
            await asyncio.sleep(0.001)
        late = asyncio.create_task(
            batcher.submit(2, byte_count=1, deadline=time.monotonic() + 30, place=place)
        )
        await asyncio.sleep(0)
        device.let_go()

        assert [(await one).result for one in (running, late)] == [2, 4]
        assert await closing
