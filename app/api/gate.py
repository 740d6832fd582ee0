"""A full queue is told as soon as a request's headers are in: before it has a task, a route or a body.

At ten times what the models can do nine requests of ten end here, and what each of them costs is missing to the tenth.
Whatever the gate is not sure of, it lets through; the routes decide again, and under another ASGI server they alone do.
"""

import time
from collections.abc import Callable
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Scope

from app.api.context import RequestContext, record, request_id
from app.api.problems import problem_from
from app.errors import LinesideError, QueueFull
from app.metrics import Metrics
from app.serving.service import Service
from app.settings import Settings

PATHS = frozenset({"/predict", "/explain"})


class Gate:
    """Refuses what would find no room; see the module's docstring.

    Args:
        service: asked for room.
        settings: with the deadline of requests that name none, and the longest.
        metrics: told of every refusal.
        is_draining: while true, connections are closed after their answer.
    """

    def __init__(
        self, service: Service, settings: Settings, metrics: Metrics, *, is_draining: Callable[[], bool]
    ) -> None:
        self._service = service
        self._default_ms = settings.default_deadline_ms
        self._longest_ms = settings.max_deadline_ms
        self._metrics = metrics
        self._is_draining = is_draining

    def refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that would find no room, counted and logged; None: let it through.

        Args:
            scope: as ASGI's, with method, path, query_string, headers and client.
        """
        if scope["path"] not in PATHS or scope["method"] != "POST":
            return None
        context = RequestContext(request_id(scope["headers"]), time.monotonic(), route=scope["path"])
        error = self._full(scope["query_string"], context)
        if error is None:
            return None
        context.refused(error)
        response = problem_from(error, request_id=context.id)
        response.headers["X-Request-Id"] = context.id
        if self._is_draining():
            response.headers["Connection"] = "close"
        context.status = response.status_code
        record(self._metrics, scope, context)
        return response

    def _full(self, query_string: bytes, context: RequestContext) -> QueueFull | None:
        query = dict(parse_qsl(query_string.decode("latin-1")))
        try:
            deadline_ms = int(query.get("deadline_ms", self._default_ms))
            version = int(query["version"]) if "version" in query else None
        except ValueError:
            return None
        if not 0 < deadline_ms <= self._longest_ms:
            return None
        deadline = context.started + deadline_ms / 1000
        try:
            with self._service.admit(
                context.id,
                model=query.get("model"),
                version=version,
                started=context.started,
                deadline=deadline,
            ):
                return None
        except QueueFull as error:
            return error
        except LinesideError:
            return None
