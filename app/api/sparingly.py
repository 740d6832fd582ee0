"""Log lines that a client could write thousands of in a second: some in full, and then one that counts the rest."""

import asyncio
import logging

log = logging.getLogger(__name__)


class Sparingly:
    """So many log lines at a time; the event loop owns it.

    Args:
        lines: in full.
        rest: the line of the others, with their number and the seconds.
        seconds: in which they may be written.
    """

    def __init__(self, lines: int, rest: str, *, seconds: float = 1.0) -> None:
        self._lines = lines
        self._rest = rest
        self._seconds = seconds
        self._count = 0
        self._end: asyncio.TimerHandle | None = None

    def allow(self) -> bool:
        """Whether this one gets its line."""
        if self._end is None:
            self._end = asyncio.get_running_loop().call_later(self._seconds, self._over)
        self._count += 1
        return self._count <= self._lines

    def _over(self) -> None:
        left, self._count, self._end = self._count - self._lines, 0, None
        if left > 0:
            log.warning(self._rest, left, self._seconds)
