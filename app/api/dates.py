"""The date that every answer bears, looked up when somebody asks.

uvicorn keeps it up to date by a clock that ticks. Each time that an idle process wakes it costs some tenths of a
millisecond, and ten and more on some virtual machines, where memory that was not touched for a moment is slow (docs/adr/0016).
"""

import time
from email.utils import formatdate

from uvicorn.server import ServerState

Headers = list[tuple[bytes, bytes]]


class DatedState(ServerState):
    """uvicorn's state that all connections share, with `Date` (RFC 9110, 6.6.1) of the second in which it is read."""

    _others: Headers
    _dated: Headers
    _second = -1

    @property
    def default_headers(self) -> Headers:
        """Of any answer that is begun now, and not to be changed."""
        second = int(time.time())
        if second != self._second:
            date = formatdate(second, usegmt=True).encode()
            self._second, self._dated = second, [(b"date", date), *self._others]
        return self._dated

    @default_headers.setter
    def default_headers(self, others: Headers) -> None:
        """Those beside the date."""
        self._second, self._others = -1, others
