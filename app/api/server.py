"""uvicorn's server, except that nobody who stands at the door when it closes is turned away with a broken connection.

uvicorn closes its listener and every connection without a request at once: what the kernel has accepted and a client
has sent by then, a request of its own connection within milliseconds, ends as a reset that the client cannot tell from
an answer that was lost. Here the door is closed first; then those inside are let say what they came for.

What is not done when the drain is over, uvicorn cancels. The application hears from here that it was the server, and
tells the client.
"""

import asyncio
import logging
import math
import socket
import time
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.context import IS_STOPPING
from app.api.dates import DatedState
from app.api.gated_protocol import GatedProtocol

log = logging.getLogger(__name__)

FIRST_REQUEST_S = 1.0
"""How long a new connection may be silent once the door is closed; browsers open some that they never use."""

TICK_S = 0.01

LATE_S = 5.0
"""So often somebody looks who says nothing, or never all of it."""

BACKLOG = 2048
"""Connections that the kernel holds for us."""

DOORS = 4
"""uvloop accepts one connection in a turn of the event loop for each socket that listens (libuv has since its pull
request 3696). With one of them, a turn that lets somebody in takes longer than it takes the next to come, under a flood
of a thousand connections a second, and who is to be refused waits in the kernel for as long as the queue fills."""


def server_for(app: ASGIApp, *, drain_timeout_s: float) -> "DrainingServer":
    """The server of the application, to be run with the sockets that it listens on."""
    return DrainingServer(
        uvicorn.Config(
            _ended_quietly(app),
            http=GatedProtocol,
            log_config=None,
            access_log=False,
            backlog=BACKLOG,
            # Longer than a balancer's own (nginx 60 s, most cameras far less), so that ours never closes first.
            timeout_keep_alive=75,
            # Whole seconds, and none of them would end every request at once.
            timeout_graceful_shutdown=math.ceil(drain_timeout_s),
            server_header=False,
        )
    )


class DrainingServer(uvicorn.Server):
    """See the module's docstring."""

    _doors: tuple[socket.socket, ...] = ()
    _last_doors: tuple[socket.socket, ...] = ()
    """Open when those are closed. Made at the start: at the end there may be no file descriptor left for them."""
    _is_stopping = False
    _should_exit = False
    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = DatedState()

    @property
    def should_exit(self) -> bool:
        """Whether it is to end. Set from any thread and by signals, and heard at once."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, should_exit: bool) -> None:
        self._should_exit = should_exit
        if should_exit and self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._is_over.set)

    async def main_loop(self) -> None:
        """Hang up on who is late, until `should_exit`; an idle server does nothing else.

        uvicorn's own looks ten times a second whether it is to end, and each second at the date.
        """
        self._is_over, self._loop = asyncio.Event(), asyncio.get_running_loop()
        while not self._should_exit:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_over.wait(), LATE_S)
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, GatedProtocol):
                    connection.hang_up_if_late(now)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, with several doors for each socket that listens."""
        more = [listener.dup() for listener in sockets or [] for _ in range(DOORS - 1)]
        self._doors = (*(sockets or []), *more)
        self._last_doors = tuple(listener.dup() for listener in sockets or [])
        self.lifespan.state[IS_STOPPING] = lambda: self._is_stopping
        await super().startup(sockets=list(self._doors) or None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the doors, hear those who came through them, then uvicorn's own shutdown."""
        self._is_stopping = True
        waiting = self._close_doors()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)
        for _ in range(round(FIRST_REQUEST_S / TICK_S)):
            if self.force_exit or not self._is_anyone_silent():
                break
            await asyncio.sleep(TICK_S)
        await super().shutdown(sockets)
        await self._see_off()

    async def _see_off(self) -> None:
        """Let those who were told that the drain is over, amid what they sent, read it; for a moment."""
        connections = self.server_state.connections
        for _ in range(round(FIRST_REQUEST_S / TICK_S)):
            if self.force_exit or not connections:
                break
            await asyncio.sleep(TICK_S)
        for connection in list(connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(TICK_S)

    def _close_doors(self) -> list[socket.socket]:
        """Stop listening; the connections that the kernel had accepted and the event loop had not."""
        for server in self.servers:
            server.close()
        for door in self._doors:
            door.close()
        return [connection for door in self._last_doors for connection in _accepted(door)]

    def _protocol(self) -> asyncio.Protocol:
        return GatedProtocol(self.config, self.server_state, self.lifespan.state)

    def _is_anyone_silent(self) -> bool:
        return any(getattr(connection, "is_silent", False) for connection in self.server_state.connections)


def _ended_quietly(app: ASGIApp) -> ASGIApp:
    """The application, whose requests the server may cancel; uvicorn would log that as the application's failure."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http" or not scope["state"][IS_STOPPING]():
                raise

    return run


def _accepted(door: socket.socket) -> list[socket.socket]:
    """All that wait there; closes it."""
    door.setblocking(False)
    waiting: list[socket.socket] = []
    with door:
        while len(waiting) < BACKLOG:
            try:
                waiting.append(door.accept()[0])
            except ConnectionAbortedError:
                continue
            except BlockingIOError:
                break
            except OSError as error:
                log.warning("connections that wait to be accepted are closed: %s", error)
                break
    return waiting
