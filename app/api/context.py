"""What is known of one request from its first byte to its last, and the one place that counts and logs it.

ASGI middleware: gives the request its id and clock, answers errors that nobody expected, and when the
response is out writes one log line and updates the metrics. A request that outlives the drain is told so.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import INTERNAL_DETAIL, problem, problem_from
from app.api.request_ids import id_among
from app.api.unreadable import CODE as UNREADABLE_CODE
from app.api.unreadable import STATUS as UNREADABLE_STATUS
from app.domain import Prediction
from app.errors import LinesideError, ShuttingDown
from app.metrics import Metrics
from app.serving.deployment import Deployment

access_log = logging.getLogger("lineside.access")
log = logging.getLogger(__name__)

CLIENT_LEFT = 499
"""Logged and counted where the client left before its answer; never sent."""
LET_IN = "let_in"
"""In a scope's state, a `LetIn`: the gate let it in."""
UNREADABLE = "unreadable"
"""In a scope's state, an id: the client was told under it that the rest of its body cannot be read, and nothing more."""
IS_STOPPING = "is_stopping"
"""In a scope's state, a function: whether the server shuts down, and cancels what is not done in time."""
SAID = "lineside.method"
"""In a scope, the method as the client said it, where another one is meant."""
QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by machines; logged only when they fail."""


class LetIn(NamedTuple):
    """What the gate knows of a request that it let in."""

    heard_at: float
    """time.monotonic() when its headers were in."""
    deployment: Deployment
    """Which has room for it."""


@dataclass(slots=True)
class RequestContext:
    """One request."""

    id: str
    started: float
    """time.monotonic() when its headers were in."""
    expected_by: Deployment | None = None
    """The gate let it in, for there is room with this one."""
    model: str = ""
    route: str = ""
    """Where the request ended before it was routed."""
    code: str | None = None
    status: int = 0
    has_begun: bool = False
    """The head of its answer is out."""
    prediction: Prediction | None = None
    """What was answered."""
    facts: dict[str, Any] = field(default_factory=dict)
    """More for the log line."""

    def refused(self, error: LinesideError) -> None:
        """Note why it was not answered."""
        self.code = error.code
        if error.__cause__ is not None:
            self.facts["cause"] = repr(error.__cause__)
        self.facts["detail"] = error.message


def context_of(request: Request) -> RequestContext:
    """The context that the middleware made for this request."""
    context: RequestContext = request.scope["state"]["context"]
    return context


class ContextMiddleware:
    """Outermost of ours; see the module's docstring.

    Args:
        app: the rest.
        metrics: told of every finished request.
        is_draining: while true, connections are closed after their answer, so that clients look elsewhere.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, is_draining: Callable[[], bool]) -> None:
        self._app = app
        self._metrics = metrics
        self._is_draining = is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass a lifespan on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = RequestContext(id_among(scope["headers"]), time.monotonic())
        scope.setdefault("state", {})["context"] = context

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = context.id
                if self._is_draining():
                    headers["Connection"] = "close"
                # A status set before is the client that left: what is sent goes nowhere.
                context.status = context.status or message["status"]
            await send(message)
            context.has_begun = True

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            if is_stopping(scope, self._is_draining):
                await give_up(context, scope, receive, send_with_id)
            raise
        except Exception as error:
            response = unexpected(error, context)
            if context.status != 0:
                raise
            await response(scope, receive, send_with_id)
        finally:
            record(self._metrics, scope, context)


def unexpected(error: Exception, context: RequestContext) -> Response:
    """The answer to a bug of ours; the log has it under the request's id."""
    log.error("unexpected error", extra={"id": context.id}, exc_info=error)
    context.code = "internal"
    return problem("internal", INTERNAL_DETAIL, request_id=context.id)


def mark(response: Response, context: RequestContext, *, is_draining: bool) -> None:
    """Give a response the headers that every one has."""
    response.raw_headers.append((b"x-request-id", context.id.encode()))
    if is_draining:
        response.headers["Connection"] = "close"
    # A status set before is the client that left: what is sent goes nowhere.
    context.status = context.status or response.status_code


def is_stopping(scope: Scope, is_draining: Callable[[], bool]) -> bool:
    """Whether a cancellation from outside is that of a server whose drain is over.

    Our own says it; of another one it is known only that the application drains.
    """
    asked: Callable[[], bool] = scope["state"].get(IS_STOPPING, is_draining)
    return asked()


async def give_up(context: RequestContext, scope: Scope, receive: Receive, send: Send) -> None:
    """Tell a client that its request outlived the drain; where its answer has begun, only the log and the metrics."""
    if context.status == CLIENT_LEFT:
        return
    error = ShuttingDown("the server is shutting down and waits no longer; try another")
    context.refused(error)
    if context.has_begun:
        return
    response = problem_from(error, request_id=context.id)
    context.status = 0  # of an answer that never went out
    mark(response, context, is_draining=True)
    # Written at once, or not at all: a client that does not read what came before would hold up the server's end.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            await response(scope, receive, send)


def record(metrics: Metrics, scope: Scope, context: RequestContext) -> None:
    """Count and log a request whose response is out."""
    if (told := scope.get("state", {}).get(UNREADABLE)) is not None:
        context.id, context.status, context.code = told, UNREADABLE_STATUS, UNREADABLE_CODE
    route = context.route or getattr(scope.get("route"), "path", "")
    metrics.count_request(route=route, model=context.model, status=context.status)
    if context.code is not None:
        metrics.count_refusal(context.code)
    if context.prediction is not None:
        metrics.time_stages(context.model, context.prediction.timings)
    if route in QUIET_ROUTES and context.status < 400:
        return
    client, method = scope.get("client"), scope.get(SAID, scope["method"])
    access_log.info(
        "%s %s %d",
        method,
        scope["path"],
        context.status,
        extra={
            "id": context.id,
            "method": method,
            "path": scope["path"],
            "status": context.status,
            "code": context.code,
            "model": context.model or None,
            "client": client[0] if client else None,
            "duration_ms": round((time.monotonic() - context.started) * 1000, 2),
            **_facts(context.prediction),
            **context.facts,
        },
    )


def _facts(prediction: Prediction | None) -> dict[str, Any]:
    """What the log says of it: written once the answer is out, for its client waits for nothing else."""
    if prediction is None:
        return {}
    return {
        "version": prediction.model.version,
        "digest": prediction.model.digest,
        "class_name": prediction.top.class_name,
        "probability": round(prediction.top.probability, 6),
        "batch_size": prediction.batch_size,
        "timings_ms": {stage: round(ms, 2) for stage, ms in prediction.timings.by_stage().items()},
    }
