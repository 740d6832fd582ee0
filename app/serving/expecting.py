"""Somebody waits for an entry that is yet to be made, and waits no longer once its `with` block ends."""

import asyncio
from types import TracebackType
from typing import Generic

from app.serving.capacity import Hold
from app.serving.line import EntryT, Line, ResultT, Waiting


class Expecting(Generic[EntryT, ResultT]):
    """See the module's docstring. A class, for a generator of contextlib's takes ten calls more, for every entry.

    Args:
        line: that the entry is to come into.
        waiting: for its outcome.
        place: of the entry; free again behind the block.
        alarm: rings at the deadline.
    """

    def __init__(
        self,
        line: Line[EntryT, ResultT],
        waiting: Waiting[EntryT, ResultT],
        place: Hold,
        alarm: asyncio.TimerHandle,
    ) -> None:
        self._line = line
        self._waiting = waiting
        self._place = place
        self._alarm = alarm

    def __enter__(self) -> Waiting[EntryT, ResultT]:
        return self._waiting

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alarm.cancel()
        self._line.leave(self._waiting)
        self._place.release()
