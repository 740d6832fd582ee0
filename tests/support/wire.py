"""A connection without a socket: kernels differ in what they hold, and tests of the protocol count what is said."""

import asyncio
from typing import Any, cast

import uvicorn

from app.api.gated_protocol import GatedProtocol


class Wire:
    """Stands for the event loop's transport; remembers what became of it.

    Args:
        app: what the server serves.
        state: its lifespan's.
        loop: for the protocol's timers; None: the running one.
    """

    def __init__(self, app: Any, state: dict[str, Any], *, loop: Any = None) -> None:
        self.writes: list[bytes] = []
        self.unsent = 0
        """Bytes that the client has not taken."""
        self.is_reading = True
        self.has_ended = False
        """The client was told that no more comes."""
        self.is_closed = False
        self.is_cut_off = False
        config = uvicorn.Config(app, interface="asgi3", log_config=None)
        config.load()
        self.protocol = GatedProtocol(config, uvicorn.server.ServerState(), state, loop)
        self.protocol.connection_made(cast("asyncio.Transport", self))

    @property
    def told(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def write_eof(self) -> None:
        self.has_ended = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_cut_off = True

    def get_extra_info(self, _name: str, _default: object = None) -> None:
        return None


async def answers_at_once(_scope: object, _receive: object, send: Any) -> None:
    """An application that reads no body."""
    await send({"type": "http.response.start", "status": 422, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
