"""What comes in crowds is done a few in each turn of the event loop, so that what is quick waits for no crowd.

A queue of two hundred places that opens to a flood, or a batch of sixteen that is over: done at once, they keep the event
loop for a tenth of a second, and whoever only wants to be told "full" waits so long.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

SHARE_S: Final = 0.005
"""One for each such span of the event loop's own time that the last turn took, but one at least. With what follows from
it, one takes 1 or 2 ms: so what else there is to do has more than half of the loop, and the crowd is never kept out."""


class Crowd:
    """Calls that wait for their turn; the event loop owns it."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_taken = False
        self._begun = 0.0
        """time.thread_time() of this turn: who takes the core away from the loop does not make the next one longer."""

    def add(self, call: Callable[[], None]) -> None:
        """Call it now if nobody else has had this turn of the loop, else when it is its turn; which no error ends."""
        if self._is_taken:
            self._waiting.append(call)
            return
        self._is_taken = True
        self._go_on(time.thread_time(), [call])

    def _go_on(self, now: float, calls: list[Callable[[], None]]) -> None:
        self._begun = now
        loop = asyncio.get_running_loop()
        for call in calls:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - as the event loop's own calls
                loop.call_exception_handler({"message": "a call in its turn failed", "exception": error})
        loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        if not self._waiting:
            self._is_taken = False
            return
        now = time.thread_time()
        count = min(len(self._waiting), max(1, int((now - self._begun) / SHARE_S)))
        self._go_on(now, [self._waiting.popleft() for _ in range(count)])
