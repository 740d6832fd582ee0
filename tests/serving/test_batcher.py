"""What the queue promises, with a device that the test holds in its hand."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from support.devices import Device, call, queued, running_batcher

from app.errors import DeadlineExceeded, InferenceFailed, ShuttingDown
from app.serving.batcher import Batcher
from app.serving.line import PLAIN, Answer, Lane
from app.serving.worker import Runner


async def test_idle_device_starts_at_once_with_a_lone_entry() -> None:
    """No waiting window: the first entry runs alone while later ones gather."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        first = call(batcher, 1)
        await device.entered()
        rest = [call(batcher, n) for n in (2, 3, 4, 5)]
        await queued(batcher, 5)

        device.let_go()
        answers = await asyncio.gather(first, *rest)

    assert device.batches == [[1], [2, 3, 4, 5]]
    assert [answer.result for answer in answers] == [2, 4, 6, 8, 10]
    assert [answer.batch_size for answer in answers] == [1, 4, 4, 4, 4]


async def test_only_warmed_sizes_run_and_nothing_is_padded() -> None:
    """Seven waiting entries run as 4 + 2 + 1."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        calls = [call(batcher, 1)]
        await device.entered()
        calls += [call(batcher, n) for n in range(2, 9)]
        await queued(batcher, 8)
        device.let_go()
        await asyncio.gather(*calls)

    assert [len(batch) for batch in device.batches] == [1, 4, 2, 1]


async def test_lanes_run_apart_and_the_oldest_entry_leads() -> None:
    """Those of its lane that came later run with it; nobody of another lane is passed over twice."""
    device, dear, alone = Device(held=True), Lane("dear"), Lane("alone", largest=1)
    async with running_batcher(device) as batcher:
        calls = [call(batcher, 1)]
        await device.entered()
        lanes = [dear, PLAIN, PLAIN, alone, dear, PLAIN, alone, PLAIN]
        for number, lane in enumerate(lanes, start=2):
            calls.append(call(batcher, number, lane=lane))
            await queued(batcher, number)
        device.let_go()
        answers = await asyncio.gather(*calls)

    assert device.batches == [[1], [2, 6], [3, 4, 7, 9], [5], [8]]
    assert [answer.result for answer in answers] == [2 * n for n in range(1, 10)]


async def test_entry_may_be_made_on_another_thread_which_queues_it_itself() -> None:
    """Its place counts as early taken until then; the answer comes to the event loop."""
    device = Device()
    async with running_batcher(device) as batcher:
        with batcher.expecting(byte_count=10, deadline=time.monotonic() + 30) as waiting:
            assert batcher.entry_count == 1
            await asyncio.to_thread(batcher.put, waiting, 7)
            answer = await waiting.future

        assert (answer.result, answer.batch_size) == (14, 1)
        assert batcher.entry_count == 0


async def test_entry_that_is_made_too_late_is_not_queued() -> None:
    device = Device()
    async with running_batcher(device) as batcher:
        with (
            pytest.raises(DeadlineExceeded, match="before the picture could be queued"),
            batcher.expecting(byte_count=10, deadline=time.monotonic() + 0.01) as waiting,
        ):
            await waiting.future
        batcher.put(waiting, 7)

        assert batcher.entry_count == 0
        assert (await call(batcher, 1)).result == 2
    assert device.batches == [[1]]


async def test_client_that_leaves_does_not_hurt_its_neighbours_and_is_not_computed() -> None:
    """Cancelling one queued call frees its slot at once; the rest of its batch is answered."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        running = call(batcher, 1)
        await device.entered()
        calls = [call(batcher, n) for n in (2, 3, 4)]
        await queued(batcher, 4)

        calls[1].cancel()
        await queued(batcher, 3)
        device.let_go()

        assert (await running).result == 2
        assert [(await calls[0]).result, (await calls[2]).result] == [4, 8]
    assert 3 not in [entry for batch in device.batches for entry in batch]


async def test_client_that_leaves_while_its_batch_runs_hurts_nobody() -> None:
    """The result of the one that left is dropped, its neighbour's is delivered."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        blocker = call(batcher, 9)
        await device.entered()
        calls = [call(batcher, n) for n in (1, 2)]
        await queued(batcher, 3)
        device.allow()
        await device.entered()

        calls[0].cancel()
        device.allow()

        assert (await calls[1]).result == 4
        assert (await blocker).result == 18


async def test_deadline_ends_a_waiting_entry_on_time_and_it_is_not_run() -> None:
    """A busy device does not delay the refusal, and the work is dropped."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        running = call(batcher, 1)
        await device.entered()
        late = call(batcher, 2, within_s=0.05)

        with pytest.raises(DeadlineExceeded):
            await late
        device.let_go()
        await running

    assert device.batches == [[1]]


async def test_deadline_also_ends_an_entry_whose_batch_is_running() -> None:
    """The caller is told at its deadline, not when the device is done."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        with pytest.raises(DeadlineExceeded):
            await call(batcher, 1, within_s=0.05)
        device.let_go()
        assert (await call(batcher, 2)).result == 4


async def test_one_bad_entry_gets_its_own_error() -> None:
    """An exception in a result's place belongs to that entry alone."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        blocker = call(batcher, 9)
        await device.entered()
        calls = [call(batcher, n) for n in (1, 0)]
        await queued(batcher, 3)
        device.let_go()
        await blocker

        assert (await calls[0]).result == 2
        with pytest.raises(InferenceFailed) as failure:
            await calls[1]
    assert isinstance(failure.value.__cause__, ArithmeticError)


async def test_batch_that_fails_is_tried_one_by_one_so_that_only_the_guilty_fail() -> None:
    """The worker survives a raising device and the neighbours of a poisoned entry are answered."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        blocker = call(batcher, 9)
        await device.entered()
        calls = [call(batcher, n) for n in (1, -1, 3, 4)]
        await queued(batcher, 5)
        device.let_go()
        await blocker

        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert [o.result for o in outcomes if isinstance(o, Answer)] == [2, 6, 8]
        assert isinstance(outcomes[1], InferenceFailed)
        assert batcher.is_alive
        assert (await call(batcher, 5)).result == 10


async def test_device_that_returns_too_few_results_fails_the_batch_not_the_worker() -> None:
    """A wrong count is an error of each entry, never a silent shift of answers."""
    batcher = Batcher[int, int](
        "test", [Runner("cpu", lambda _entries: [])], batch_sizes=[1], max_entries=9, max_bytes=99
    )
    batcher.start()

    with pytest.raises(InferenceFailed):
        await batcher.submit(1, byte_count=1, deadline=time.monotonic() + 5)

    assert batcher.is_alive
    assert await batcher.close(timeout_s=5)


async def test_observer_that_raises_costs_no_answer() -> None:
    """Metrics are told after the answers are out."""

    def broken(_size: int) -> None:
        raise RuntimeError("metrics are down")

    async with running_batcher(Device(), on_batch=broken) as batcher:
        assert [(await call(batcher, n)).result for n in (1, 2)] == [2, 4]


async def test_answered_entry_is_not_printed() -> None:
    """The text of an error in looking for it would be: its pixels, and more than half of the event loop's time."""

    class Unprintable(int):
        def __repr__(self) -> str:
            raise AssertionError("printed")

    async with running_batcher(Device()) as batcher:
        assert (await call(batcher, Unprintable(3))).result == 6


async def test_batch_is_no_larger_than_the_earliest_deadline_allows() -> None:
    """Eight at 0.1 s each would all be late together; a smaller batch answers the first ones in time."""

    class Slow(Device):
        def run(self, entries: Sequence[int]) -> Sequence[int | Exception]:
            time.sleep(0.1 * len(entries))
            return super().run(entries)

    device = Slow()
    async with running_batcher(device, sizes=(1, 2, 8)) as batcher:
        await call(batcher, 1)
        blocker = call(batcher, 2)
        await queued(batcher, 1)
        calls = [call(batcher, n, within_s=1.5 if n == 3 else 0.7) for n in (3, 4, 5, 6)]
        calls += [call(batcher, n) for n in range(7, 11)]
        await asyncio.gather(blocker, *calls, return_exceptions=True)

    assert len(device.batches[2]) < 8


async def test_closing_answers_what_was_accepted_and_refuses_the_rest() -> None:
    """Drain: no accepted entry is lost."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        calls = [call(batcher, n) for n in (1, 2, 3)]
        await queued(batcher, 3)

        closing = asyncio.create_task(batcher.close(timeout_s=10))
        await asyncio.sleep(0)
        with pytest.raises(ShuttingDown):
            await call(batcher, 4)
        device.let_go()

        assert [answer.result for answer in await asyncio.gather(*calls)] == [2, 4, 6]
        assert await closing
        assert not batcher.is_alive


async def test_busy_time_tells_a_hanging_device_from_an_idle_one() -> None:
    """Readiness asks the worker: idle is 0, a running batch grows."""
    device = Device(held=True)
    async with running_batcher(device) as batcher:
        assert batcher.states()[0].busy_s == 0.0
        running = call(batcher, 1)
        await device.entered()
        await asyncio.sleep(0.02)

        assert batcher.states()[0].busy_s >= 0.015
        device.let_go()
        await running


def test_sizes_without_one_are_refused() -> None:
    """A lone entry must have a size to run at."""
    with pytest.raises(ValueError, match="must hold 1"):
        Batcher[int, int]("test", [Runner("cpu", list)], batch_sizes=[2], max_entries=1, max_bytes=1)
