"""An answer's head goes out with the first of its body, unless that is long; and says that the connection ends where it must.

uvicorn writes them one after the other, and uvloop hands each to the kernel at once: the client would be woken twice,
the first time for nothing, and takes the core meanwhile where it shares one with the server.
"""

import asyncio
from typing import Final, Protocol

CRLF: Final = b"\r\n"
LONG: Final = 1 << 16
"""Bytes of a body that is not copied for this."""


class Answering(Protocol):
    """uvicorn's side of one request."""

    response_started: bool
    """Its head was written, or is just now."""
    keep_alive: bool
    """The connection goes on after it."""


class OneWrite(asyncio.Transport):
    """What one request's answer is written to.

    Args:
        transport: the connection's.
        cycle: what writes; its body must be written, be it empty, or the transport closed.
        waits: the client sends its body once it is told to go on. Where it never is, it may send it or not, and nobody
            could tell what follows on that connection.
    """

    def __init__(self, transport: asyncio.Transport, cycle: Answering, *, waits: bool = False) -> None:
        super().__init__()
        self._transport = transport
        self._cycle = cycle
        self._waits = waits
        self._head: bytes | None = None
        self._has_had_head = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the head until the next comes."""
        if not self._cycle.response_started:
            self._waits = False  # "100 Continue"
        elif not self._has_had_head:
            self._has_had_head = True
            self._head = bytes(data)
            if self._waits and self._cycle.keep_alive:
                self._cycle.keep_alive = False
                self._head = self._head[: -len(CRLF)] + b"connection: close" + CRLF + CRLF
            return
        head, self._head = self._head, None
        if head is not None and len(data) >= LONG:
            self._transport.write(head)
        elif head is not None:
            data = b"".join((head, data))
        self._transport.write(data)

    def is_closing(self) -> bool:
        """The connection is on its way down."""
        return self._transport.is_closing()

    def close(self) -> None:
        """After what was written."""
        if self._head is not None:
            self.write(b"")
        self._transport.close()
