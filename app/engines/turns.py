"""Who computes on a device: one call alone, or a few of one engine that each take a part of its cores.

In order of arrival: a call that wants the device to itself is not overtaken by those that could share it. Engines take
turns: a lone picture for each of two models is answered sooner one after the other than side by side. Knows of engines
only which is which.
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
        self._engine: object = None
        """Whose calls are inside."""
        self._inside = 0

    @contextmanager
    def beside(self, engine: object, others: int) -> Iterator[bool]:
        """Compute while nobody does, or at most that many calls of the same engine, which all say the same number.

        Yields:
            Whether nobody else computed when this one began; others may have come since.
        """
        is_first = self._enter(engine, others)
        try:
            yield is_first
        finally:
            self._leave()

    def __enter__(self) -> None:
        """Compute alone."""
        self._enter(None, 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the next one in."""
        self._leave()

    def _enter(self, engine: object, others: int) -> bool:
        me = object()

        def may_enter() -> bool:
            is_bearable = self._engine is engine and self._inside <= others
            return self._waiting[0] is me and (self._inside == 0 or is_bearable)

        with self._changed:
            self._waiting.append(me)
            try:
                self._changed.wait_for(may_enter)
            finally:
                self._waiting.remove(me)
                self._changed.notify_all()
            self._engine = engine
            self._inside += 1
            return self._inside == 1

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            if not self._inside:
                self._engine = None  # not kept alive by its last call
            self._changed.notify_all()
