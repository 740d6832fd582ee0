"""What comes in crowds is done one at a time, some turns of the event loop apart, so that what is quick waits for no crowd.

A queue of two hundred places that opens to a flood keeps the event loop for a tenth of a second and more if all of them start
at once, the answers of a batch of eight for some milliseconds; whoever only wants to be told "full" would wait so long.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

APART: Final = 4
"""Turns of the loop from one to the next. A connection that is refused takes about so many, from its acceptance to its
answer: it waits for one of the crowd, not for one in each. A turn with nothing to do takes microseconds."""

SHARE_S: Final = 0.005
"""One for each such span of the event loop's own time since the last, but one at least. With what follows from it, one
takes 1 or 2 ms: so what else there is to do has more than half of the loop, and the crowd is never kept out."""


class Crowd:
    """Calls that wait for their turn; the event loop owns it."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_taken = False
        self._turns = 0
        """Since the last."""
        self._last = 0.0
        """time.thread_time() of the last: who takes the core away from the loop does not let more of them in."""

    def add(self, call: Callable[[], None]) -> None:
        """Call it now if nobody has had this turn of the loop and nobody waits, else when it is its turn.

        Args:
            call: an error is the event loop's to report, and keeps nobody else from their turn.
        """
        if self._is_taken:
            self._waiting.append(call)
            return
        self._is_taken = True
        self._go_on(time.thread_time(), [call])

    def _go_on(self, now: float, calls: list[Callable[[], None]]) -> None:
        self._turns, self._last = 0, now
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
        self._turns += 1
        if self._turns < APART:
            asyncio.get_running_loop().call_soon(self._next_turn)
            return
        now = time.thread_time()
        count = min(len(self._waiting), max(1, int((now - self._last) / SHARE_S)))
        self._go_on(now, [self._waiting.popleft() for _ in range(count)])
