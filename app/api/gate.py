"""A full queue is told as soon as a request's headers are in: before it has a task, a route or a body.

At ten times what the models can do nine requests of ten end here, and what each of them costs is missing to the tenth.
Whatever the gate is not sure of, it lets through; the routes decide again, and under another ASGI server they alone do.
Who finds room starts in its turn: what it takes to start is several times what a refusal takes, and nobody is to be
refused only after a crowd was let in.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from app.api.context import RequestContext, record
from app.api.heads import Head
from app.api.problems import MEDIA_TYPE, STATUS_BY_CODE, document, retry_after
from app.api.request_ids import Succession, new_id, request_id
from app.api.sparingly import Sparingly
from app.api.unreadable import CODE, STATUS, answer
from app.errors import LinesideError, QueueFull, Unavailable
from app.metrics import Metrics
from app.serving.admission import Admission
from app.serving.crowds import Crowd
from app.serving.deployment import Deployment
from app.settings import Settings

log = logging.getLogger(__name__)

LOGGED_PER_S: Final = 20
"""Refusals that get a line of their own; the others of that second share one. A client that retries at once would
otherwise write thousands of them a second, and each costs a third of what the refusal does."""

STANDS_S: Final = 0.02
"""How long a refusal may be given again while nobody leaves: the models' pace changes, and devices are lost."""

ID_HERE: Final = "{id}"
"""Stands in a document, as its last word, for the id of whoever is told it."""


class Answer(NamedTuple):
    """The answer to everybody who asks alike, but for the id."""

    template: bytes
    """To be filled with more headers, the body's length, the id and the id again."""
    length: int
    """Bytes of the body without the id."""


class Refusal(NamedTuple):
    """A response that never becomes ASGI's, which would cost more than to decide on it."""

    answer: Answer
    id: bytes
    closes: bool
    """The connection too: the server is on its way down."""

    def message(self, more_headers: bytes) -> bytes:
        """What is written to the connection; each of the headers given ends its line."""
        length = self.answer.length + len(self.id)
        return self.answer.template % (more_headers, length, self.id, self.id)


class Standing(NamedTuple):
    """What is told until somebody leaves."""

    query_string: bytes
    departures: int
    until: float
    """time.monotonic()."""
    error: QueueFull
    model: str
    status: int
    answer: Answer
    new_id: Succession


class Asked(NamedTuple):
    """Of a query that may be right, what decides on room."""

    model: str | None
    version: int | None
    deadline_ms: int | None


class Gate:
    """Refuses what would find no room; see the module's docstring.

    Args:
        admission: asked for room.
        settings: with the deadline of requests that name none, and the longest.
        paths: whose POST takes a picture.
        metrics: told of every refusal.
        is_draining: while true, connections are closed after their answer.
    """

    def __init__(
        self,
        admission: Admission,
        settings: Settings,
        metrics: Metrics,
        *,
        paths: Collection[str],
        is_draining: Callable[[], bool],
    ) -> None:
        self._admission = admission
        self._paths = paths
        self._default_ms = settings.default_deadline_ms
        self._longest_ms = settings.max_deadline_ms
        self._metrics = metrics
        self._is_draining = is_draining
        self._lines = Sparingly(LOGGED_PER_S, "refused %d more requests within %g s, for want of room")
        self._unreadable_lines = Sparingly(LOGGED_PER_S, "%d more within %g s were no HTTP requests")
        self._starts = Crowd()
        self._standing: Standing | None = None

    def verdict(
        self, asked: Head, client: Callable[[], tuple[str, int] | None]
    ) -> Refusal | Deployment | None:
        """The answer to a request that would find no room, counted and logged; or where it will find some.

        Args:
            asked: what is known of it.
            client: its address; looked up only for a log line, for the kernel has to be asked.

        Returns:
            None: who can tell; let it through. What finds room, `let_in`.
        """
        if asked.path not in self._paths:
            return None
        now = time.monotonic()
        standing = self._standing
        if standing is None or not (
            standing.query_string == asked.query_string
            and standing.departures == self._admission.departures
            and now < standing.until
        ):
            found = self._asked_anew(asked.query_string, now)
            if not isinstance(found, Standing):
                return found
            standing = self._standing = found
        given = request_id(asked.headers.get(b"x-request-id"), standing.new_id)
        if self._lines.allow():
            context = RequestContext(
                given, now, model=standing.model, route=asked.path, status=standing.status
            )
            context.refused(standing.error)
            record(self._metrics, {"method": "POST", "path": asked.path, "client": client()}, context)
        else:
            self._metrics.count_request(route=asked.path, model=standing.model, status=standing.status)
            self._metrics.count_refusal(standing.error.code)
        return Refusal(standing.answer, given.encode(), closes=self._is_draining())

    def let_in(self, deployment: Deployment, start: Callable[[], None]) -> None:
        """Start a request for which there is room, in its turn; its place is kept until then.

        Args:
            deployment: of its verdict.
            start: has the request's task made; called once.
        """
        self._admission.expect(deployment)

        def start_and_forget() -> None:
            try:
                start()
            finally:
                # After the first step of the task, which takes the place.
                asyncio.get_running_loop().call_soon(self._admission.expect, deployment, -1)

        self._starts.add(start_and_forget)

    def unreadable(self, detail: str, client: Callable[[], tuple[str, int] | None]) -> bytes:
        """What is written, as the last, to a connection that asks nothing that can be read; counted and logged.

        Args:
            detail: what is wrong with it.
            client: its address.
        """
        given = new_id()
        self._metrics.count_request(route="", model="", status=STATUS)
        self._metrics.count_refusal(CODE)
        if self._unreadable_lines.allow():
            address = client()
            facts = {"id": given, "status": STATUS, "code": CODE, "client": address[0] if address else None}
            log.warning("no HTTP request: %s", detail, extra=facts)
        return answer(detail, request_id=given)

    def _asked_anew(self, query_string: bytes, now: float) -> Standing | Deployment | None:
        asked = _asked(query_string)
        if asked is None:
            return None
        room = self._room(asked, now)
        if not isinstance(room, QueueFull):
            return room
        departures = self._admission.departures
        model, status = self._admission.name_of(asked.model), STATUS_BY_CODE[room.code]
        return Standing(
            query_string, departures, now + STANDS_S, room, model, status, _answer(room, status), Succession()
        )

    def _room(self, asked: Asked, now: float) -> Deployment | QueueFull | None:
        deadline_ms = self._default_ms if asked.deadline_ms is None else asked.deadline_ms
        if not 0 < deadline_ms <= self._longest_ms:
            return None
        try:
            room = self._admission.room(
                model=asked.model, version=asked.version, deadline=now + deadline_ms / 1000
            )
        except LinesideError:
            return None
        if isinstance(room, Unavailable) and not isinstance(room, QueueFull):
            return None  # the routes say it
        return room


@lru_cache(maxsize=256)  # none is longer than a head may be here
def _asked(query_string: bytes) -> Asked | None:
    """None: it cannot be right, which the routes say better."""
    query = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))  # as the front
    try:
        version, deadline_ms = (
            int(query[name]) if name in query else None for name in ("version", "deadline_ms")
        )
    except ValueError:
        return None
    return Asked(query.get("model"), version, deadline_ms)


def _answer(error: QueueFull, status: int) -> Answer:
    body = document(error.code, error.message, request_id=ID_HERE).replace(b"%", b"%%")
    before, after = body.rsplit(ID_HERE.encode(), 1)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n%b"
        f"content-type: {MEDIA_TYPE}\r\nretry-after: {retry_after(error)}\r\n"
        "content-length: %d\r\nx-request-id: %b\r\n\r\n"
    )
    return Answer(head.encode() + before + b"%b" + after, len(before % ()) + len(after % ()))
