"""Devices that a test holds in its hand, and a batcher in front of them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from app.errors import DeviceLost
from app.serving.batcher import Batcher
from app.serving.line import PLAIN, Answer, Lane
from app.serving.worker import Runner


class Device:
    """Doubles numbers; runs one batch each time the test allows it. Negative numbers are poison."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self._allowed = threading.Semaphore(0)
        self._held = held
        self._is_broken = False
        self._entered = threading.Semaphore(0)

    def run(self, entries: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(entries))
        self._entered.release()
        if self._held:
            assert self._allowed.acquire(timeout=10)
        if self._is_broken:
            raise DeviceLost("it fell off the bus")
        if any(entry < 0 for entry in entries):
            raise ValueError("poison")
        return [ArithmeticError("own error") if entry == 0 else 2 * entry for entry in entries]

    def break_down(self) -> None:
        """What runs now and whatever comes is lost."""
        self._is_broken = True
        self.let_go()

    def allow(self, batches: int = 1) -> None:
        self._allowed.release(batches)

    def let_go(self) -> None:
        self._held = False
        self._allowed.release(100)

    async def entered(self) -> None:
        assert await asyncio.to_thread(self._entered.acquire, timeout=10)


@asynccontextmanager
async def running_batcher(
    *devices: Device,
    fallback: Device | None = None,
    sizes: Sequence[int] = (1, 2, 4),
    in_flight: int = 1,
    takes_any_thread: bool = False,
    max_entries: int = 100,
    max_bytes: int = 1000,
    on_batch: Callable[[int], None] = lambda _size: None,
) -> AsyncIterator[Batcher[int, int]]:
    """Workers named after their devices' places, 0, 1, ...; the fallback is called `spare`."""
    batcher = Batcher[int, int](
        "test",
        [
            Runner(str(place), device.run, in_flight=in_flight, takes_any_thread=takes_any_thread)
            for place, device in enumerate(devices)
        ],
        fallback=None if fallback is None else Runner("spare", fallback.run),
        batch_sizes=sizes,
        max_entries=max_entries,
        max_bytes=max_bytes,
        on_batch=on_batch,
    )
    batcher.start()
    try:
        yield batcher
    finally:
        for device in (*devices, *([] if fallback is None else [fallback])):
            device.let_go()
        assert await batcher.close(timeout_s=10)


def call(
    batcher: Batcher[int, int], entry: int, *, within_s: float = 30.0, lane: Lane = PLAIN
) -> "asyncio.Task[Answer[int]]":
    deadline = time.monotonic() + within_s
    return asyncio.create_task(batcher.submit(entry, byte_count=10, deadline=deadline, lane=lane))


async def queued(batcher: Batcher[int, int], entries: int) -> None:
    """Wait until that many entries wait or run."""
    for _ in range(1000):
        if batcher.entry_count == entries:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"{batcher.entry_count} entries, not {entries}")


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what a thread will make so, but not for ever."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - a thread says so, not the event loop
            await asyncio.sleep(0.001)
