"""A full queue is told as soon as a request's headers are in: before it has a task, a route or a body.

At ten times what the models can do nine requests of ten end here, and what each of them costs is missing to the tenth.
Whatever the gate is not sure of, it lets through; the routes decide again, and under another ASGI server they alone do.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Scope

from app.api.context import RequestContext, mark, record, request_id
from app.api.problems import problem_from
from app.errors import LinesideError, QueueFull
from app.metrics import Metrics
from app.serving.service import Service
from app.settings import Settings

log = logging.getLogger(__name__)

LOGGED_PER_S: Final = 20
"""Refusals that get a line of their own; the others of that second share one. A client that retries at once would
otherwise write thousands of them a second, and each costs a third of what the refusal does."""


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

    def refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that would find no room, counted and logged; None: let it through.

        Args:
            scope: as ASGI's, with method, path, query_string, headers and client.
        """
        if scope["path"] not in self._paths or scope["method"] != "POST":
            return None
        now = time.monotonic()
        error = self._full(scope["query_string"], now)
        if error is None:
            return None
        context = RequestContext(request_id(scope["headers"]), now, route=scope["path"])
        context.refused(error)
        response = problem_from(error, request_id=context.id)
        mark(response, context, is_draining=self._is_draining())
        record(self._metrics, scope, context, is_logged=self._lines.allow())
        return response

    def _full(self, query_string: bytes, now: float) -> QueueFull | None:
        query = dict(parse_qsl(query_string.decode("latin-1"))) if query_string else {}
        try:
            deadline_ms = int(query.get("deadline_ms", self._default_ms))
            version = int(query["version"]) if "version" in query else None
        except ValueError:
            return None
        if not 0 < deadline_ms <= self._longest_ms:
            return None
        deadline = now + deadline_ms / 1000
        try:
            with self._service.admit(
                "", model=query.get("model"), version=version, started=now, deadline=deadline
            ):
                return None
        except QueueFull as error:
            return error
        except LinesideError:
            return None


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
