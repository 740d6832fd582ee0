"""uvicorn's HTTP protocol with the gate in front: what is refused there never becomes a task.

headers -> gate -> let through: uvicorn's own way, a task and the application
                -> refused: the answer goes out at once, the rest of the body is read and dropped

Reads what uvicorn keeps of a connection (`url`, `scope`, `cycle`), which is no public interface: the lock holds its
version, and tests/api/test_gate.py fails where that changes.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.gate import Asked, Gate, Refusal

LINGER_S = 10.0
"""How long a client may take to send the rest of a body that nobody wants; closing earlier would cost it the answer."""


class Refused:
    """What uvicorn takes for a request that has been answered."""

    __slots__ = ("is_read", "keep_alive")
    response_complete: Final = True
    message_event: Final = asyncio.Event()
    """Nobody waits for it."""

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.is_read = False
        """Its body is over."""


class GatedProtocol(HttpToolsProtocol):
    """See the module's docstring; the gate is `gate` in the lifespan's state."""

    _linger: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Where that was not all of a refused request's body, wait for the rest, but not for ever."""
        super().data_received(data)
        refused: Any = self.cycle
        if isinstance(refused, Refused) and not refused.is_read and self._linger is None:
            self._linger = self.loop.call_later(LINGER_S, self.transport.close)

    def on_headers_complete(self) -> None:
        """Ask the gate, where there is one and nothing before this request is still being answered."""
        gate: Gate | None = self.app_state.get("gate")
        is_free = self.cycle is None or self.cycle.response_complete
        refusal = gate.refusal(self._asked()) if gate is not None and is_free else None
        if refusal is None:
            super().on_headers_complete()
            return
        # A client that waits for "100 Continue" will send no body, or one that cannot be told from what follows.
        keep_alive = self.parser.should_keep_alive() and not self.expect_100_continue and not refusal.closes
        self.server_state.total_requests += 1
        self.transport.write(_message(refusal, self.server_state.default_headers, keep_alive=keep_alive))
        self.cycle = Refused(keep_alive=keep_alive)  # type: ignore[assignment]
        if self.expect_100_continue:
            self.transport.close()

    def on_body(self, body: bytes) -> None:
        """Dropped where the request was refused."""
        current: Any = self.cycle
        if not isinstance(current, Refused):
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is over: the connection is free for another request, or closed."""
        refused: Any = self.cycle
        if not isinstance(refused, Refused):
            super().on_message_complete()
            return
        refused.is_read = True
        self._forget_linger()
        if self.transport.is_closing():
            return
        if refused.keep_alive:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._forget_linger()
        super().connection_lost(exc)

    def _asked(self) -> Asked:
        url = httptools.parse_url(self.url)
        method, path = self.parser.get_method().decode("ascii"), url.path.decode("ascii")
        return Asked(method, path, url.query or b"", self.headers, self.client)

    def _forget_linger(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None


def _message(refusal: Refusal, defaults: list[tuple[bytes, bytes]], *, keep_alive: bool) -> bytes:
    status = HTTPStatus(refusal.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    lines += [name + b": " + value for name, value in (*defaults, *refusal.headers)]
    if not keep_alive:
        lines.append(b"connection: close")
    return b"\r\n".join((*lines, b"", refusal.body))
