"""Who computes on a device: one call alone, or a few that each take a part of its cores.

In order of arrival: a call that wants the device to itself is not overtaken by those that could share it. Knows no
engines, only how many may be inside.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class Turns:
    """One for each device, shared by every engine on it; as a context manager of its own: the device alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._inside: list[int] = []
        """How many others each of those bears."""

    @contextmanager
    def beside(self, others: int) -> Iterator[bool]:
        """Compute while at most that many others do; 0: alone.

        Yields:
            Whether nobody else computed when this one began; others may have come since.
        """
        is_first = self._enter(others)
        try:
            yield is_first
        finally:
            self._leave(others)

    def __enter__(self) -> None:
        """Compute alone."""
        self._enter(0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the next one in."""
        self._leave(0)

    def _enter(self, others: int) -> bool:
        me = object()
        with self._changed:
            self._waiting.append(me)
            try:
                self._changed.wait_for(
                    lambda: self._waiting[0] is me and len(self._inside) <= min([others, *self._inside])
                )
            finally:
                self._waiting.remove(me)
                self._changed.notify_all()
            self._inside.append(others)
            return len(self._inside) == 1

    def _leave(self, others: int) -> None:
        with self._changed:
            self._inside.remove(others)
            self._changed.notify_all()
