"""A lone picture is computed by the thread that read it, where the engine takes any thread and nobody misses that one."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from support.devices import Device, call, queued, running_batcher, until

from app.serving.batcher import Batcher
from app.serving.image_threads import ImageThreads
from app.serving.line import PLAIN, Lane, Waiting


class Noting(Device):
    """Knows which threads ran its batches."""

    def __init__(self, *, held: bool = False) -> None:
        super().__init__(held=held)
        self.threads: list[str] = []

    def run(self, entries: object) -> object:  # type: ignore[override]
        self.threads.append(threading.current_thread().name)
        return super().run(entries)  # type: ignore[arg-type]


@pytest.fixture
def two() -> Iterator[ImageThreads]:
    threads = ImageThreads(2)
    yield threads
    threads.close()


async def lent(batcher: Batcher[int, int], entry: int) -> tuple[object, Callable[[], None] | None]:
    """Its answer, and the batch that this thread was given, if it was; run here."""
    with batcher.expecting(byte_count=10, deadline=time.monotonic() + 30) as waiting:
        batch = batcher.put(waiting, entry, lends=True)
        if batch is not None:
            batch()
        return (await waiting.future).result, batch


async def idle(batcher: Batcher[int, int], *, threads: int = 1) -> None:
    """Until so many threads of its workers sleep: their batches are done with only some moments after the answers."""
    asleep = batcher._line._asleep  # noqa: SLF001
    await until(lambda: sum(sleepers.count for sleepers in list(asleep.values())) == threads)


def lent_beside(batcher: Batcher[int, int], waiting: Waiting[int, int]) -> threading.Thread:
    """The thread that brings 1 and runs its batch."""
    batch = batcher.put(waiting, 1, lends=True)
    assert batch is not None
    thread = threading.Thread(target=batch, daemon=True)
    thread.start()
    return thread


async def test_lone_entry_is_run_by_the_thread_that_brings_it() -> None:
    """One after the other, its worker's threads sleep on."""
    device = Noting()
    async with running_batcher(device, takes_any_thread=True) as batcher:
        await idle(batcher)
        answers = [(await lent(batcher, n))[0] for n in (1, 2, 3)]
        there, elsewhere = set(device.threads), await call(batcher, 4)

    assert answers == [2, 4, 6]
    assert there == {threading.current_thread().name}
    assert elsewhere.result == 8
    assert device.threads[3].startswith("worker-")


@pytest.mark.parametrize("takes_any_thread", [False, True])
async def test_entry_is_the_workers_where_it_is_not_alone(*, takes_any_thread: bool) -> None:
    """Or where the engine would rather have its own threads."""
    device = Noting(held=True)
    async with running_batcher(device, takes_any_thread=takes_any_thread, in_flight=2) as batcher:
        first = call(batcher, 1)
        await device.entered()
        second = asyncio.create_task(lent(batcher, 2))  # behind one that runs
        await queued(batcher, 2)
        third = asyncio.create_task(lent(batcher, 3))  # and behind one that waits
        await queued(batcher, 3)
        device.let_go()
        answers = [await second, await third]
        await first
        await idle(batcher, threads=2)
        alone = await lent(batcher, 4)

    assert answers == [(4, None), (6, None)]
    assert (alone[0], alone[1] is not None) == (8, takes_any_thread)


async def test_gradients_keep_to_their_workers_threads() -> None:
    async with running_batcher(Device(), takes_any_thread=True) as batcher:
        await idle(batcher)
        dear = Lane("dear")
        with batcher.expecting(byte_count=10, deadline=time.monotonic() + 30, lane=dear) as waiting:
            assert batcher.put(waiting, 5, lends=True) is None
            assert (await waiting.future).result == 10
        await idle(batcher)
        with batcher.expecting(byte_count=10, deadline=time.monotonic() + 30, lane=PLAIN) as waiting:
            waiting.future.cancel()
            assert batcher.put(waiting, 6, lends=True) is None  # nor is anything run for who has left


async def test_lent_batch_counts_as_under_way_and_is_waited_for() -> None:
    """What comes beside it fills up behind it; a server that closes waits for it."""
    device = Device(held=True)
    async with running_batcher(device, takes_any_thread=True) as batcher:
        await idle(batcher)
        with batcher.expecting(byte_count=10, deadline=time.monotonic() + 30) as waiting:
            thread = lent_beside(batcher, waiting)
            await device.entered()
            rest = [call(batcher, n) for n in (2, 3, 4)]
            await queued(batcher, 4)
            await asyncio.sleep(0.05)
            assert device.batches == [[1]]  # three are no full batch
            assert batcher.states()[0].busy_s > 0
            closing = asyncio.create_task(batcher.close(timeout_s=10))
            await asyncio.sleep(0.05)
            assert not closing.done()
            device.let_go()
            assert (await waiting.future).result == 2
        assert [(await one).result for one in rest] == [4, 6, 8]
        assert await closing
        thread.join(10)


async def test_what_has_come_beside_a_lent_batch_begins_with_its_end() -> None:
    """Too few to begin beside it, and nobody else comes who would wake a worker."""
    device = Device(held=True)
    async with running_batcher(device, takes_any_thread=True, in_flight=2) as batcher:
        await idle(batcher, threads=2)
        with batcher.expecting(byte_count=10, deadline=time.monotonic() + 30) as waiting:
            thread = lent_beside(batcher, waiting)
            await device.entered()
            behind = [call(batcher, n) for n in (2, 3)]
            await queued(batcher, 3)
            device.let_go()
            async with asyncio.timeout(10):
                answers = [(await one).result for one in behind]
        thread.join(10)
    assert answers == [4, 6]


async def test_device_that_is_lost_on_a_lent_thread_leaves_its_entry_to_the_spare_one() -> None:
    device, spare = Device(held=True), Device()
    async with running_batcher(device, fallback=spare, takes_any_thread=True) as batcher:
        await idle(batcher)
        with batcher.expecting(byte_count=10, deadline=time.monotonic() + 30) as waiting:
            batch = batcher.put(waiting, 7, lends=True)
            assert batch is not None
            device.break_down()
            await asyncio.to_thread(batch)
            assert (await waiting.future).result == 14
        assert spare.batches == [[7]]
        assert batcher.states()[0].lost is not None


async def test_other_pictures_are_read_while_a_thread_is_lent(
    two: ImageThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that had to wait for this thread until then; and no second one is lent."""
    monkeypatch.setattr("app.serving.image_threads.LOOK_AGAIN_S", 60.0)
    outcome = asyncio.get_running_loop().create_future()
    may_end, events = threading.Event(), list[str]()

    def rest() -> None:
        events.append(threading.current_thread().name)
        assert may_end.wait(20)

    def work() -> Callable[[], None] | None:
        has_begun.set()
        assert may_begin.wait(20)
        assert two.can_lend
        return rest

    class Supplied:
        def has_work_for(self, _seconds: float) -> bool:
            return not events

    has_begun, may_begin, model = threading.Event(), threading.Event(), Supplied()
    handed_on = asyncio.create_task(two.hand_on(work, outcome, consumer=model))
    await until(has_begun.is_set)
    other = asyncio.create_task(
        two.run(lambda: (threading.current_thread().name, two.can_lend), consumer=model)
    )
    await asyncio.sleep(0)  # it waits
    may_begin.set()
    async with asyncio.timeout(10):
        name, could_lend = await other
    assert [name] != events
    assert not could_lend
    may_end.set()
    outcome.set_result("boar")
    assert await handed_on == "boar"
    async with asyncio.timeout(10):
        while not await two.run(lambda: two.can_lend):  # noqa: ASYNC110 - a thread makes it so
            await asyncio.sleep(0.001)


async def test_the_only_thread_is_never_lent() -> None:
    one = ImageThreads(1)
    assert not await one.run(lambda: one.can_lend)
    one.close()
