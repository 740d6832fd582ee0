"""Several devices behind one queue, some of which are lost."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest
from support.devices import Device, call, queued, running_batcher, until

from app.errors import DeviceLost, InferenceFailed, NotReady
from app.serving.batcher import Batcher
from app.serving.line import PLAIN, Answer, Line, Waiting
from app.serving.worker import Runner, Worker


async def all_busy(batcher: Batcher[int, int], *devices: Device) -> "list[asyncio.Task[Answer[int]]]":
    """One entry on each device: 1, 2, ..., in whichever order they took them."""
    calls = []
    for number in range(1, len(devices) + 1):
        calls.append(call(batcher, number))
        await until(lambda: sum(len(device.batches) for device in devices) == len(calls))
    for device in devices:
        await device.entered()
    return calls


async def test_whichever_device_is_idle_takes_the_next_batch() -> None:
    """While one computes, the other does all the work."""
    slow, quick = Device(held=True), Device(held=True)
    async with running_batcher(slow, quick) as batcher:
        calls = await all_busy(batcher, slow, quick)
        quick.let_go()
        answers = await asyncio.gather(*(call(batcher, n) for n in range(3, 20)))

        assert [answer.result for answer in answers] == [2 * n for n in range(3, 20)]
        assert len(slow.batches) == 1
        slow.let_go()
        await asyncio.gather(*calls)


async def test_wait_is_shared_by_the_living() -> None:
    """Two devices of one speed need half the time; after a loss it is as long as for one."""
    table = {1: 1.0}
    devices = [Device(held=True), Device(held=True)]
    runners = [Runner(str(place), device.run, table) for place, device in enumerate(devices)]
    batcher = Batcher[int, int]("test", runners, batch_sizes=[1], max_entries=99, max_bytes=9999)
    batcher.start()
    calls = await all_busy(batcher, *devices)
    calls += [call(batcher, n) for n in range(3, 11)]
    await queued(batcher, 10)

    def is_let_in(within_s: float) -> bool:
        return batcher.refusal(time.monotonic() + within_s) is None

    # With its own turn, and a fifth of the wait for what goes wrong.
    assert (is_let_in(6.5), is_let_in(7.5)) == (False, True)
    devices[0].break_down()
    await until(lambda: batcher.states()[0].lost is not None)
    assert (is_let_in(12.5), is_let_in(13.5)) == (False, True)

    devices[1].let_go()
    await asyncio.gather(*calls)
    assert await batcher.close(timeout_s=10)


async def test_what_a_lost_device_left_is_answered_by_another_in_its_turn() -> None:
    """Before what came later; and the lost one gets nothing more."""
    lost, other = Device(held=True), Device(held=True)
    async with running_batcher(lost, other, sizes=[1]) as batcher:
        calls = await all_busy(batcher, lost, other)
        calls += [call(batcher, 3)]
        await queued(batcher, 3)
        lost.break_down()
        await until(lambda: not batcher.states()[0].is_alive)
        other.let_go()

        assert [answer.result for answer in await asyncio.gather(*calls)] == [2, 4, 6]
        assert other.batches[1:] == [lost.batches[0], [3]]
        assert [state.lost for state in batcher.states()] == ["it fell off the bus", None]
        assert (await call(batcher, 5)).result == 10
        assert len(lost.batches) == 1


async def test_entry_whose_second_device_is_lost_too_ends_with_its_error() -> None:
    """Once more, not for ever: it may be what breaks them."""
    first, second, third = Device(held=True), Device(held=True), Device(held=True)
    async with running_batcher(first, second, third) as batcher:
        blockers = await all_busy(batcher, first, second, third)
        unlucky = blockers[first.batches[0][0] - 1]
        second.allow()
        await until(lambda: sum(one.done() for one in blockers) == 1)
        first.break_down()
        await second.entered()
        second.break_down()

        with pytest.raises(InferenceFailed, match="every device") as failure:
            await unlucky
        assert isinstance(failure.value.__cause__, DeviceLost)
        assert batcher.is_alive
        third.let_go()
        assert (await call(batcher, 7)).result == 14
        await asyncio.gather(*(one for one in blockers if one is not unlucky))


async def test_last_device_lost_ends_everything_at_once() -> None:
    """What ran fails, what waited is refused, nothing new is taken; nobody waits for a deadline."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        running = call(batcher, 1)
        await device.entered()
        waiting = [call(batcher, n) for n in (2, 3)]
        place = batcher.reserve(time.monotonic() + 30)
        await queued(batcher, 4)
        device.break_down()

        with pytest.raises(InferenceFailed):
            await running
        for one in waiting:
            with pytest.raises(NotReady, match="0 is out of service"):
                await one
        with pytest.raises(NotReady, match="restart the server"):
            await call(batcher, 4)
        with pytest.raises(NotReady):
            await batcher.submit(5, byte_count=1, deadline=time.monotonic() + 30, place=place)
        place.release()
        assert not batcher.is_alive
        assert batcher.entry_count == 0


async def test_fallback_answers_only_when_every_device_is_lost() -> None:
    """And then it answers what they left."""
    devices, spare = [Device(held=True), Device(held=True)], Device()
    async with running_batcher(*devices, fallback=spare) as batcher:
        calls = await all_busy(batcher, *devices)
        calls += [call(batcher, n) for n in (3, 4, 5)]
        await queued(batcher, 5)
        assert [state.name for state in batcher.states()] == ["0", "1"]

        devices[0].break_down()
        await until(lambda: not batcher.states()[0].is_alive)
        assert not spare.batches
        devices[1].break_down()

        answers = await asyncio.gather(*calls, return_exceptions=True)
        results = [answer.result if isinstance(answer, Answer) else None for answer in answers]
        assert results == [2, 4, 6, 8, 10]
        assert batcher.is_alive
        assert [(state.name, state.is_alive) for state in batcher.states()] == [
            ("0", False),
            ("1", False),
            ("spare", True),
        ]


async def test_device_lost_while_entries_are_tried_alone_loses_none_of_them() -> None:
    """Those that were answered stay answered, the rest is answered elsewhere."""
    fragile, spare = Device(held=True), Device()
    async with running_batcher(fragile, fallback=spare) as batcher:
        blocker = call(batcher, 9)
        await fragile.entered()
        calls = [call(batcher, n) for n in (1, -1, 3, 4)]
        await queued(batcher, 5)
        fragile.allow(3)  # the blocker, the poisoned batch, and its first entry alone
        assert (await calls[0]).result == 2
        fragile.break_down()

        outcomes = await asyncio.gather(*calls[1:], return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [InferenceFailed, Answer, Answer]
        assert (await blocker).result == 18
    assert 1 not in [entry for batch in spare.batches for entry in batch]


async def test_error_of_an_entry_leaves_its_device_in_service() -> None:
    """Poison is the entry's own."""
    device, other = Device(), Device()
    async with running_batcher(device, other) as batcher:
        calls = [call(batcher, n) for n in (-1, 0, 3)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [InferenceFailed, InferenceFailed, Answer]
        assert all(state.is_alive for state in batcher.states())


async def test_closing_waits_for_what_may_come_back_from_a_lost_device() -> None:
    """An idle worker stays until nothing runs elsewhere."""
    lost, other = Device(held=True), Device(held=True)
    async with running_batcher(lost, other) as batcher:
        calls = await all_busy(batcher, lost, other)
        other.let_go()
        await until(lambda: any(one.done() for one in calls))
        closing = asyncio.create_task(batcher.close(timeout_s=10))
        await asyncio.sleep(0)
        lost.break_down()

        assert sorted(answer.result for answer in await asyncio.gather(*calls)) == [2, 4]
        assert await closing


async def test_second_batch_is_prepared_behind_a_running_one_only_when_it_is_full() -> None:
    """Fewer had better wait and grow; a full one need not wait for the device to ask for it."""
    device = Device(held=True)
    async with running_batcher(device, in_flight=2) as batcher:
        calls = [call(batcher, 1)]
        await device.entered()
        for number in (2, 3, 4):
            calls.append(call(batcher, number))
            await queued(batcher, number)
        assert device.batches == [[1]]

        calls.append(call(batcher, 5))
        await device.entered()

        assert device.batches == [[1], [2, 3, 4, 5]]
        device.let_go()
        assert [answer.result for answer in await asyncio.gather(*calls)] == [2, 4, 6, 8, 10]


@pytest.mark.parametrize(("left_s", "alone", "beside_another"), [(30.0, 4, 4), (0.35, 4, 2), (0.12, 1, 4)])
async def test_size_of_a_batch_allows_for_the_one_that_runs_beside_it(
    left_s: float, alone: int, beside_another: int
) -> None:
    """They share the device, so each takes as long as both; a deadline that is missed anyhow does not count."""
    runner = Runner("cpu", Device().run, {1: 0.1, 2: 0.15, 4: 0.2}, in_flight=2)
    worker = Worker(
        "test", runner, Line(), batch_sizes=[1, 2, 4], on_batch=lambda _size: None, on_lost=lambda *_: None
    )
    now = time.monotonic()
    future = asyncio.get_running_loop().create_future
    alike = [Waiting[int, int](PLAIN, now + left_s, future()) for _ in range(4)]

    assert worker.batch_size(alike, now, running=0) == alone
    assert worker.batch_size(alike, now, running=1) == beside_another


async def test_a_device_is_given_no_more_at_a_time_than_it_computes_at_a_time() -> None:
    """Of two behind one queue, each its own."""
    small, large = Device(held=True), Device(held=True)
    runners = [Runner("small", small.run, {1: 0.1, 2: 0.15}, largest=2), Runner("large", large.run)]
    batcher = Batcher[int, int]("test", runners, batch_sizes=[1, 2, 4], max_entries=99, max_bytes=999)
    batcher.start()
    calls = await all_busy(batcher, small, large)
    calls += [call(batcher, n) for n in range(3, 15)]
    await queued(batcher, 14)
    small.let_go()
    await until(lambda: len(small.batches) > 1)
    large.let_go()
    answers = await asyncio.gather(*calls)

    assert [answer.result for answer in answers] == [2 * n for n in range(1, 15)]
    assert max(map(len, small.batches)) == 2
    assert await batcher.close(timeout_s=10)


async def test_a_batch_that_hangs_is_noticed_although_the_one_beside_it_is_answered() -> None:
    """Two halves of the cores: one may be stuck for ever while the other goes on."""
    has_hung, may_go_on = threading.Event(), threading.Event()

    def run(entries: Sequence[int]) -> Sequence[int]:
        if 1 in entries:
            has_hung.set()
            assert may_go_on.wait(10)
        return entries

    batcher = Batcher[int, int](
        "test", [Runner("cpu", run, in_flight=2)], batch_sizes=[1], max_entries=9, max_bytes=99
    )
    batcher.start()
    stuck = call(batcher, 1)
    assert await asyncio.to_thread(has_hung.wait, 10)
    since = time.monotonic()
    await asyncio.sleep(0.02)
    assert (await call(batcher, 2)).result == 2

    least_s = time.monotonic() - since
    assert batcher.states()[0].busy_s >= least_s
    may_go_on.set()
    assert (await stuck).result == 1
    assert batcher.states()[0].busy_s == 0.0
    assert await batcher.close(timeout_s=10)


async def test_both_batches_of_a_lost_device_are_answered_elsewhere() -> None:
    device, other = Device(held=True), Device(held=True)
    async with running_batcher(device, other, sizes=[1], in_flight=2) as batcher:
        calls = [call(batcher, n) for n in (1, 2, 3, 4)]
        await until(lambda: len(device.batches) == len(other.batches) == 2)
        device.break_down()
        await until(lambda: not batcher.states()[0].is_alive)
        other.let_go()

        assert [answer.result for answer in await asyncio.gather(*calls)] == [2, 4, 6, 8]
