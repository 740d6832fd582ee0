"""The end of a connection: an answer reaches a client that is still sending, and one that reads nothing holds no memory.

close() while more of a request is to come -> told that no more comes, what it still sends is dropped -> its end, or LINGER_S
close() otherwise                          -> closed once all is sent, or cut off where nothing of it is taken for LINGER_S

A socket that is closed with something unread resets the connection, and the reset costs the client the answer.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

LINGER_S: Final = 10.0
"""How long a client may take to send the rest of a body that nobody wants, or not read what it is told."""


class LingeringTransport(asyncio.Transport):
    """A connection's transport, but for its end.

    Args:
        transport: the connection's.
        loop: its own.
        is_owed: whether more of a request is still to come.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, is_owed: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._is_owed = is_owed
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nothing where the connection is on its way down: uvloop's would raise."""
        if not self.is_closing():
            self._transport.write(data)

    def is_closing(self) -> bool:
        """It is on its way down; what still comes is to be dropped."""
        return self._is_over or self._transport.is_closing()

    def close(self) -> None:
        """See the module's docstring."""
        if self.is_closing():
            return
        self._is_over = True
        if self._is_owed():
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._transport.close()
            if not self._transport.get_write_buffer_size():
                return
        self._watch()

    def abort(self) -> None:
        """At once, whatever was not sent."""
        self._is_over = True
        self._transport.abort()

    def lost(self) -> None:
        """The connection is gone."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def pause_reading(self) -> None:
        """As the connection's, but for what is dropped."""
        if not self.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """As the connection's."""
        if not self.is_closing():
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the connection's."""
        return self._transport.get_extra_info(name, default)

    def _watch(self) -> None:
        unsent = self._transport.get_write_buffer_size()

        def look_again() -> None:
            if 0 < self._transport.get_write_buffer_size() < unsent:
                self._watch()
            else:
                self._transport.abort()

        self._timer = self._loop.call_later(LINGER_S, look_again)
