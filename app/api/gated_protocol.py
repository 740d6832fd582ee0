"""uvicorn's HTTP protocol with the gate in front: what is refused there never becomes a task, nor uvicorn's at all.

a head that the gate may refuse -> gate -> let through: in its turn, uvicorn's own parser, a task and the application
                                        -> refused: the answer goes out at once, its body is dropped unread

Until something is let through, uvicorn's own constructor has not run either: what it makes, and asks of the kernel, for
each connection costs more than the refusal. Reads what uvicorn keeps of a connection (`flow`, `cycle`), which is no
public interface: the lock holds its version, and tests/api/test_gated_protocol.py fails where that changes.
"""

import asyncio
import time
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from app.api import owed, whole_requests
from app.api.context import LET_IN, LetIn
from app.api.exchange import EXCHANGE, Exchange
from app.api.gate import Gate, Refusal
from app.api.heads import Head, end_of_head, head_of_post, known_head, made_readable
from app.api.lingering import LINGER_S, LingeringTransport
from app.api.unreadable import TOO_LONG, meaning_of
from app.serving.deployment import Deployment

MOST_OF_HEAD: Final = 1 << 16
"""Bytes of a head that are kept until it ends; the parser would keep any number."""


class GatedProtocol(HttpToolsProtocol):
    """See the module's docstring; the gate is `gate` in the lifespan's state."""

    # What uvicorn's methods look at before its constructor has run.
    cycle: Any = None
    flow: FlowControl | None = None  # type: ignore[assignment]
    timeout_keep_alive_task: asyncio.TimerHandle | None = None

    _has_refused = False
    _is_amid = False
    """Of a request that is uvicorn's: its head has begun and its body is not over."""
    _is_in_head = False
    """And its head is not over."""
    _is_lost = False
    """What comes can be read no more, and is dropped; answers may still be owed."""
    _head_bytes = 0
    """Of a head that uvicorn's parser keeps, behind its first piece."""
    _held = b""
    """The beginning of a head; or what had come of a request by the time that it began to wait for its turn."""
    _asked: tuple[Head, int] | None = None
    """What is let in: its head, and where that ends in what is held."""
    _let_in: LetIn | None = None
    """It was let in, and waits for its turn or has it just now."""
    _is_held_up = False
    """It waits for its turn: nothing more is read."""
    _heard = b""
    """What uvicorn is just being told."""
    _unwanted = 0
    """Bytes of a refused body that are still to come."""
    _closes = False
    """Once that body is over."""
    _due: float | None = None
    """time.monotonic() by which a head that has begun, or the rest of a body that nobody wants, is to be there."""
    _orderly: LingeringTransport | None = None
    """The connection as uvicorn has it, and whoever closes it amid something."""
    _unanswered: tuple[Any, ...] = ()
    """uvicorn's cycles, the oldest first."""
    _is_unread = False
    """The client does not read what it is told."""
    _is_deaf = False
    """Therefore nothing more is read of it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.loop = _loop or asyncio.get_running_loop()
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self._gate: Gate | None = app_state.get("gate")

    @property
    def is_silent(self) -> bool:
        """Nothing was asked yet."""
        return self.cycle is None and not self._has_refused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        self.transport = transport
        self._expect_more()
        self.server_state.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Hear refused requests out; whatever else it is, uvicorn hears."""
        if self.transport.is_closing() or self._is_lost:
            return
        data, self._held, at = self._held + data, b"", 0
        while at < len(data) and not self.transport.is_closing():
            if self._unwanted:
                dropped = min(self._unwanted, len(data) - at)
                self._unwanted -= dropped
                at += dropped
                if not self._unwanted:
                    self._hear_the_next()
                continue
            end = end_of_head(data, at) if self._gate is not None and self._is_free() else 0
            if end is None:
                self._forget_keep_alive()
                self._expect_more()
                self._held = data[at:]
                return
            head = None
            if end:
                self._due = None
                asked = data[at:end]
                head = known_head(asked)
                if head is None:
                    if (readable := made_readable(asked)) is not asked:
                        data, at, end = readable + data[end:], 0, len(readable)
                    head = head_of_post(readable)
            verdict = self._gate.verdict(head, self._client) if self._gate and head else None
            if head is None or self._gate is None or verdict is None:
                self._pass_on(data[at:] if at else data)
                return
            if not isinstance(verdict, Refusal):
                self._asked = head, end - at
                self._await_turn(self._gate, verdict, data[at:] if at else data)
                return
            self._refuse(head, verdict)
            at = end
        if self._unwanted and self._due is None:
            self._due = time.monotonic() + LINGER_S

    def on_message_begin(self) -> None:
        """A request of uvicorn's has begun."""
        self._is_amid = self._is_in_head = True
        super().on_message_begin()
        if self._let_in is not None:
            self.scope["state"][LET_IN], self._let_in = self._let_in, None

    def on_headers_complete(self) -> None:
        """Its task begins in the next turn of the loop."""
        self._due, self._head_bytes = None, 0
        before = self.cycle
        super().on_headers_complete()
        self._is_in_head = False
        if self.cycle is not before:
            self._owe()

    def on_message_complete(self) -> None:
        """The next one may be asked of the gate."""
        self._is_amid, self._due = False, None
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more was asked."""
        self._be_orderly()
        super().timeout_keep_alive_handler()

    def hang_up_if_late(self, now: float) -> None:
        """On who says nothing, or never all of it; asked from time to time.

        A timer for each connection would take a flood's time, and one that each piece winds up again may never end.
        """
        if self._due is not None and now > self._due:
            self.transport.abort()

    def pause_writing(self) -> None:
        """The client does not read: uvicorn makes the application wait, the gate stops listening."""
        self._is_unread = True
        if self.flow is not None:
            super().pause_writing()
        if self._is_free():
            self._stop_listening()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._is_unread = False
        if self._is_deaf:
            self._is_deaf = False
            if self._let_in is None:
                self.transport.resume_reading()
        if self.flow is not None:
            super().resume_writing()

    def shutdown(self) -> None:
        """The server is on its way down, but whoever waits for its turn was let in."""
        self._be_orderly()
        self._start()
        super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """What cannot be read has no end."""
        if self._gate is None:
            self._is_amid, self._is_in_head = True, False
            super().send_400_response(msg)
            return
        self._tell_unreadable(self._gate, meaning_of(self._heard))

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._forget_keep_alive()
        if self._orderly is not None:
            self._orderly.lost()
        owed.nobody_waits(self._unanswered)
        if self.flow is not None:
            super().connection_lost(exc)
            return
        self.server_state.connections.discard(self)

    def _is_owed(self) -> bool:
        """More is still to come of a request that was answered; half a head asks nothing."""
        return (self._is_amid and not self._is_in_head) or self._unwanted > 0

    def _is_free(self) -> bool:
        return not self._is_amid and (self.cycle is None or self.cycle.response_complete)

    def _tell_unreadable(self, gate: Gate, detail: str) -> None:
        """In its turn: answers come in the order of their requests, one for each, and the connection ends behind the last."""
        is_in_body = self._is_amid and not self._is_in_head
        self._is_amid, self._is_in_head, self._is_lost = True, False, True
        before = owed.still(self._unanswered)
        if is_in_body and before == [self.cycle] and not self.cycle.response_started:
            self.transport.write(owed.broken_off(self.cycle, detail))
            before = []
        elif not is_in_body or before:  # else it was answered, and only the rest of its body is broken
            message = gate.unreadable(detail, self._client)
            if is_in_body and not before[-1].response_started:
                del before[-1]
            if not before:
                self.transport.write(message)
        if before:
            before[-1].keep_alive = False
        else:
            self.transport.close()

    def _refuse(self, head: Head, refusal: Refusal) -> None:
        self._has_refused = True
        self._forget_keep_alive()
        self.server_state.total_requests += 1
        # Who waits for "100 Continue" will send no body, or one that cannot be told from what follows.
        self._closes = head.is_last or head.waits or refusal.closes
        more = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        if self._closes:
            more.append(b"connection: close\r\n")
        self.transport.write(refusal.message(b"".join(more)))
        if self._is_unread:  # since an answer of the application's
            self._stop_listening()
        self._unwanted = head.body_length
        if not self._unwanted:
            self._hear_the_next()
        elif head.waits:
            self._be_orderly()
            self.transport.close()

    def _stop_listening(self) -> None:
        if not self._is_deaf:
            self._is_deaf = True
            self.transport.pause_reading()

    def _hear_the_next(self) -> None:
        self._due = None
        if self._closes:
            self.transport.close()
        else:
            self._keep_alive()

    def _keep_alive(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.config.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _await_turn(self, gate: Gate, deployment: Deployment, data: bytes) -> None:
        self._forget_keep_alive()
        self._held, self._let_in = data, LetIn(time.monotonic(), deployment)
        gate.let_in(deployment, self._start)
        if self._let_in is not None:
            self._is_held_up = True
            self.transport.pause_reading()

    def _start(self) -> None:
        if self._let_in is None or self.transport.is_closing():
            return
        data, self._held = self._held, b""
        if self._is_held_up:
            self._is_held_up = False
            if not self._is_deaf:
                self.transport.resume_reading()
        asked, self._asked = self._asked, None
        body = None if asked is None else whole_requests.body_of(asked[0], data, asked[1])
        if asked is None or body is None:
            self._pass_on(data)
        else:
            self._begin(asked[0], body)

    def _begin(self, head: Head, body: bytes) -> None:
        """As `_pass_on` with all of a request, whose head is known."""
        self._forget_keep_alive()
        self._become_uvicorns()
        self.on_message_begin()
        self.cycle = whole_requests.begin(self, head, body)
        self._is_amid = self._is_in_head = False
        self._due = None
        self._owe()
        self._start_asgi_task(self.cycle, self.app)

    def _owe(self) -> None:
        """An answer to the newest cycle's request."""
        self._unanswered = owed.and_this(self._unanswered, self.cycle)
        # Others are few, and the answer to a HEAD has no body that would be written.
        if self.scope["method"] == "POST":
            exchange = Exchange(self.transport, self.cycle, waits=self.expect_100_continue)
            self.cycle.transport = self.scope["state"][EXCHANGE] = exchange

    def _become_uvicorns(self) -> None:
        if self.flow is None:
            self._be_orderly()
            transport = self.transport  # which the constructor forgets
            super().__init__(self.config, self.server_state, self.app_state, self.loop)
            super().connection_made(transport)

    def _pass_on(self, data: bytes) -> None:
        self._forget_keep_alive()
        self._become_uvicorns()
        self._heard, was_in_head = data, self._is_in_head
        super().data_received(data)
        self._heard = b""
        if self.transport.is_closing() or self._is_lost:
            return
        if self._is_in_head:
            self._expect_more()
            self._head_bytes += len(data) if was_in_head else 0
            if self._head_bytes > MOST_OF_HEAD and self._gate is not None:
                self._tell_unreadable(self._gate, TOO_LONG)
        elif self._is_free():
            self._keep_alive()  # uvicorn's own ended with this piece, the end of a body that was answered before
        elif self._is_amid and self.cycle.response_complete:
            self._expect_more()

    def _client(self) -> tuple[str, int] | None:
        return get_remote_addr(self.transport)

    def _expect_more(self) -> None:
        if self._due is None:
            self._due = time.monotonic() + self.config.timeout_keep_alive

    def _be_orderly(self) -> None:
        """From now on a close costs nobody an answer; most connections of a flood end before that is needed."""
        if self._orderly is None:
            self.transport = self._orderly = LingeringTransport(self.transport, self.loop, self._is_owed)

    def _forget_keep_alive(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
