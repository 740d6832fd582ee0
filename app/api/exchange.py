"""One request and its answer for an application that knows this server, without a message of ASGI's for each part.

the whole body, where it has come -> application -> head and body, in one write
what comes in pieces, or goes out in pieces, does so by ASGI

A line's picture comes at once and its answer is short. What asyncio, Starlette and uvicorn do to hand on the parts of the two
took a quarter of the event loop's time for such a request.
"""

from collections.abc import Iterable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.one_write import CRLF, LONG, OneWrite

EXCHANGE: Final = "exchange"
"""In a scope's state, an `Exchange`, under a server that has them."""


class Exchange(OneWrite):
    """See the module's docstring; it is also what uvicorn's cycle writes to.

    Args: as OneWrite's; the cycle is uvicorn's.
    """

    _cycle: Any

    def body_at_hand(self) -> bytes | None:
        """The request's whole body, once; None where more of it is to come, or the client has to be told to send it."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.response_started or cycle.waiting_for_100_continue:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.message_event.clear()
        cycle.flow.resume_reading()
        return body

    def answer(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write the whole answer.

        Args:
            status: has a body.
            headers: names in lower case, the body's length among them, and nothing of the connection.
            body: of that length.

        Returns:
            Whether it did: not where the answer has begun, or is long, or the client does not read what it was told, or
            waits to be asked for its body.
        """
        cycle = self._cycle
        if (
            cycle.response_started
            or cycle.disconnected
            or cycle.flow.write_paused
            or cycle.waiting_for_100_continue
            or len(body) >= LONG
        ):
            return False
        parts = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            parts += (name, b": ", value, CRLF)
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (CRLF, body)
        cycle.response_started = cycle.response_complete = True
        self._transport.write(b"".join(parts))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()
        return True
