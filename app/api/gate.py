"""A full queue is told as soon as a request's headers are in: before it has a task, a route or a body.

At ten times what the models can do nine requests of ten end here, and what each of them costs is missing to the tenth.
Whatever the gate is not sure of, it lets through; the routes decide again, and under another ASGI server they alone do.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from app.api.context import RequestContext, record, request_id
from app.api.problems import MEDIA_TYPE, STATUS_BY_CODE, document, retry_after
from app.errors import LinesideError, QueueFull
from app.metrics import Metrics
from app.serving.service import Service
from app.settings import Settings

log = logging.getLogger(__name__)

LOGGED_PER_S: Final = 20
"""Refusals that get a line of their own; the others of that second share one. A client that retries at once would
otherwise write thousands of them a second, and each costs a third of what the refusal does."""


REMEMBERED_BYTES: Final = 256
"""Of a query string: a client's requests ask alike, and longer ones are not worth keeping."""


class Asked(NamedTuple):
    """A request as far as it is known."""

    method: str
    path: str
    query_string: bytes
    headers: Sequence[tuple[bytes, bytes]]
    """Names in lower case."""
    client: tuple[str, int] | None


class Wish(NamedTuple):
    """What a query string says of model and time."""

    deadline_ms: int | None
    model: str | None
    version: int | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response that never becomes ASGI's, which would cost more than to decide on it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    closes: bool
    """The connection too: the server is on its way down."""


class Gate:
    """Refuses what would find no room; see the module's docstring.

    Args:
        service: asked for room.
        settings: with the deadline of requests that name none, and the longest.
        paths: whose POST takes a picture.
        metrics: told of every refusal.
        is_draining: while true, connections are closed after their answer.
    """

    def __init__(
        self,
        service: Service,
        settings: Settings,
        metrics: Metrics,
        *,
        paths: Collection[str],
        is_draining: Callable[[], bool],
    ) -> None:
        self._service = service
        self._paths = paths
        self._default_ms = settings.default_deadline_ms
        self._longest_ms = settings.max_deadline_ms
        self._metrics = metrics
        self._is_draining = is_draining
        self._lines = Sparingly(LOGGED_PER_S)

    def refusal(self, asked: Asked) -> Refusal | None:
        """The answer to a request that would find no room, counted and logged; None: let it through."""
        if asked.path not in self._paths or asked.method != "POST":
            return None
        now = time.monotonic()
        error = self._full(asked.query_string, now)
        if error is None:
            return None
        context = RequestContext(
            request_id(asked.headers), now, route=asked.path, status=STATUS_BY_CODE[error.code]
        )
        context.refused(error)
        record(self._metrics, asked._asdict(), context, is_logged=self._lines.allow())
        body = document(error.code, error.message, request_id=context.id)
        headers = (
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", retry_after(error).encode()),
            (b"x-request-id", context.id.encode()),
        )
        return Refusal(context.status, headers, body, closes=self._is_draining())

    def _full(self, query_string: bytes, now: float) -> QueueFull | None:
        wish = _remembered(query_string) if len(query_string) <= REMEMBERED_BYTES else _read(query_string)
        if wish is None:
            return None
        deadline_ms = self._default_ms if wish.deadline_ms is None else wish.deadline_ms
        if not 0 < deadline_ms <= self._longest_ms:
            return None
        try:
            error = self._service.refusal(
                model=wish.model, version=wish.version, deadline=now + deadline_ms / 1000
            )
        except LinesideError:
            return None
        return error if isinstance(error, QueueFull) else None


def _read(query_string: bytes) -> Wish | None:
    """None: the routes will have something to say about it."""
    query = dict(parse_qsl(query_string.decode("latin-1")))
    try:
        deadline_ms = int(query["deadline_ms"]) if "deadline_ms" in query else None
        version = int(query["version"]) if "version" in query else None
    except ValueError:
        return None
    return Wish(deadline_ms, query.get("model"), version)


_remembered = lru_cache(maxsize=128)(_read)


class Sparingly:
    """So many log lines at a time, and then one that counts the rest; the event loop owns it.

    Args:
        lines: in full.
        seconds: in which they may be written.
    """

    def __init__(self, lines: int, *, seconds: float = 1.0) -> None:
        self._lines = lines
        self._seconds = seconds
        self._count = 0
        self._end: asyncio.TimerHandle | None = None

    def allow(self) -> bool:
        """Whether this one gets its line."""
        if self._end is None:
            self._end = asyncio.get_running_loop().call_later(self._seconds, self._over)
        self._count += 1
        return self._count <= self._lines

    def _over(self) -> None:
        left, self._count, self._end = self._count - self._lines, 0, None
        if left > 0:
            log.warning("refused %d more requests within %g s, for want of room", left, self._seconds)
