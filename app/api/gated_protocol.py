"""uvicorn's HTTP protocol with the gate in front: what is refused there never becomes a task.

headers -> gate -> let through: uvicorn's own way, a task and the application
                -> refused: the answer goes out at once, the rest of the body is read and dropped

Reads what uvicorn keeps of a connection (`url`, `scope`, `cycle`), which is no public interface: the lock holds its
version, and tests/api/test_gate.py fails where that changes.
"""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httptools
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.gate import Gate

LINGER_S = 10.0
"""How long a client may take to send the rest of a body that nobody wants; closing earlier would cost it the answer."""


@dataclass(slots=True)
class Refused:
    """What uvicorn takes for a request that has been answered; it drops what still comes of the body."""

    keep_alive: bool
    linger: asyncio.TimerHandle | None = None
    response_complete: bool = True
    disconnected: bool = False
    message_event: asyncio.Event = field(default_factory=asyncio.Event)


class GatedProtocol(HttpToolsProtocol):
    """See the module's docstring; the gate is `gate` in the lifespan's state."""

    def on_headers_complete(self) -> None:
        """Ask the gate, where there is one and nothing before this request is still being answered."""
        gate: Gate | None = self.app_state.get("gate")
        is_free = self.cycle is None or self.cycle.response_complete
        refusal = gate.refusal(self._asked()) if gate is not None and is_free else None
        if refusal is None:
            super().on_headers_complete()
            return
        # A client that waits for "100 Continue" will send no body, or one that cannot be told from what follows.
        keep_alive = (
            self.parser.should_keep_alive()
            and not self.expect_100_continue
            and "connection" not in refusal.headers
        )
        self.server_state.total_requests += 1
        self.transport.write(_message(refusal, self.server_state.default_headers, keep_alive=keep_alive))
        self.cycle = refused = Refused(keep_alive)  # type: ignore[assignment]
        if self.expect_100_continue:
            self.transport.close()
        else:
            refused.linger = self.loop.call_later(LINGER_S, self.transport.close)

    def on_message_complete(self) -> None:
        """The body is over: the connection is free for another request, or closed."""
        refused: Any = self.cycle
        if not isinstance(refused, Refused):
            super().on_message_complete()
            return
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

    def _asked(self) -> dict[str, Any]:
        """The request as far as it is known."""
        url = httptools.parse_url(self.url)
        known = {
            "method": self.parser.get_method().decode("ascii"),
            "path": url.path.decode("ascii"),
            "query_string": url.query or b"",
        }
        return {**self.scope, **known}

    def _forget_linger(self) -> None:
        refused: Any = self.cycle
        if isinstance(refused, Refused) and refused.linger is not None:
            refused.linger.cancel()
            refused.linger = None


def _message(response: Response, defaults: list[tuple[bytes, bytes]], *, keep_alive: bool) -> bytes:
    status = HTTPStatus(response.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    lines += [name + b": " + value for name, value in (*defaults, *response.raw_headers)]
    if not keep_alive and "connection" not in response.headers:
        lines.append(b"connection: close")
    return b"\r\n".join((*lines, b"", bytes(response.body)))
