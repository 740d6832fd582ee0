"""What the line in front of the workers gives to whom."""

import asyncio
import time
from collections.abc import Sequence

from app.serving.line import PLAIN, Lane, Line, Waiting


async def test_entries_that_are_late_anyhow_let_others_go_first() -> None:
    """Their work would be lost; an idle device tries them all the same."""

    class Taker:
        is_lost = False

        def seconds(self, _lane: Lane) -> float:
            return 0.5

        def batch_size(self, alike: Sequence[object], _now: float, *, running: int) -> int:
            return len(alike) if not running else 0

    line, now = Line[int, int](), time.monotonic()
    future = asyncio.get_running_loop().create_future
    for number, left_s in enumerate((0.4, 30.0, 0.3, 30.0)):
        line.put(Waiting(number, PLAIN, now + left_s, now, future()))
    line.close()  # so that nobody waits for what does not come
    taker, taken = Taker(), []
    for _ in range(2):
        batch = line.take(taker)
        assert batch is not None
        taken.append([waiting.entry for waiting in batch])
        line.finished(taker)

    assert taken == [[1, 3], [0, 2]]


async def test_entries_that_are_late_beside_a_running_batch_let_others_go_first() -> None:
    """Two batches of one device take each other's time: what would be in time alone is not beside another."""

    class Taker:
        is_lost = False

        def seconds(self, _lane: Lane) -> float:
            return 0.5

        def batch_size(self, alike: Sequence[object], _now: float, *, running: int) -> int:
            return 1 if running < 2 else 0

    line, now = Line[int, int](), time.monotonic()
    future = asyncio.get_running_loop().create_future
    for number, left_s in enumerate((30.0, 0.9, 30.0)):
        line.put(Waiting(number, PLAIN, now + left_s, now, future()))
    taker, taken = Taker(), []
    for _ in range(2):
        batch = line.take(taker)
        assert batch is not None
        taken += [waiting.entry for waiting in batch]

    assert taken == [0, 2]
