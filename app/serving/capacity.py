"""How much may wait: a bound on entries and on bytes, held while something is inside.

Used twice: by each model's queue, and by the server for requests whose body is being read or whose
picture is being decoded. Knows nothing of what it counts. Not thread-safe: the event loop owns it.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from app.errors import QueueFull


class Hold:
    """One entry's share of a capacity; leaving the `with` block gives it back, once."""

    def __init__(self, capacity: "Capacity") -> None:
        self._capacity = capacity
        self._bytes = 0
        self._released = False

    def grow(self, byte_count: int) -> None:
        """Hold that many more bytes.

        Raises:
            QueueFull: they do not fit; what was held before is still held.
        """
        self._capacity.claim_bytes(byte_count)
        self._bytes += byte_count

    def release(self) -> None:
        """Give everything back; a second call does nothing."""
        if not self._released:
            self._released = True
            self._capacity.give_back(self._bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Capacity:
    """A bound on entries and on bytes.

    Args:
        what: the noun in the refusal, for instance "queue of pig-sex".
        max_entries: most holds at a time.
        max_bytes: most bytes at a time, over all holds.
    """

    def __init__(self, what: str, *, max_entries: int, max_bytes: int) -> None:
        self._what = what
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.entries = 0
        self.bytes = 0
        self.departures = 0
        """Holds that were given back so far: while it stands still, nothing becomes free."""

    def refusal(
        self, *, expected: int = 0, retry_after_s: Callable[[], float] = lambda: 1.0
    ) -> QueueFull | None:
        """Why one more entry would find no room behind those that are expected; None: it would.

        Args:
            expected: entries that will be taken before.
            retry_after_s: asked only where there is no room.
        """
        if self.entries + expected >= self._max_entries:
            return QueueFull(
                f"the {self._what} is full ({self.entries} requests); try again later",
                retry_after_s=retry_after_s(),
            )
        if self.bytes >= self._max_bytes:
            return self._too_many_bytes(retry_after_s())
        return None

    def take(self) -> Hold:
        """Hold one entry.

        Raises:
            QueueFull: there is no room for it.
        """
        if (refusal := self.refusal()) is not None:
            raise refusal
        self.entries += 1
        return Hold(self)

    def claim_bytes(self, byte_count: int) -> None:
        """Count more bytes; for Hold.

        Raises:
            QueueFull: they do not fit.
        """
        if self.bytes + byte_count > self._max_bytes:
            raise self._too_many_bytes(1.0)
        self.bytes += byte_count

    def give_back(self, byte_count: int) -> None:
        """Count one entry and its bytes less; for Hold."""
        self.entries -= 1
        self.bytes -= byte_count
        self.departures += 1

    def _too_many_bytes(self, retry_after_s: float) -> QueueFull:
        return QueueFull(
            f"the {self._what} holds {self.bytes} of {self._max_bytes} bytes; try again later",
            retry_after_s=retry_after_s,
        )
