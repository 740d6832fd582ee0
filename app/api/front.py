"""The two addresses that a line asks for, answered without FastAPI's layers; everything else goes to FastAPI.

scope -> query, checked -> endpoint -> response -> log line and metrics

FastAPI declares the same endpoints with the same queries, and describes them at /docs. But its middlewares, routing and
dependencies take about as much of the event loop's time as the endpoints themselves, and on a small box that time is
missing to the network. The endpoints, their queries and their errors are the same either way.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.context import LET_IN, SAID, LetIn, RequestContext, give_up, is_stopping, mark, record
from app.api.exchange import EXCHANGE, Exchange
from app.api.failures import answer_to
from app.api.request_ids import id_among
from app.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers POST on one address."""

    query: type[BaseModel]
    answer: Callable[[Request, Any], Awaitable[Response]]
    """Takes the request and its query, an instance of the class above."""


LONGEST_KEPT: Final = 256
"""Bytes of a query that is read once for all: a line asks the same with every picture."""


class Front:
    """An ASGI application before another one.

    Args:
        app: answers the rest; becomes `request.app`.
        endpoints: by path.
        metrics: told of every finished request.
        is_draining: while true, connections are closed after their answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        endpoints: Mapping[str, Endpoint],
        *,
        metrics: Metrics,
        is_draining: Callable[[], bool],
    ) -> None:
        self._app = app
        self._endpoints = endpoints
        self._metrics = metrics
        self._is_draining = is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "http":
            scope = _as_meant(scope)
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        endpoint = self._endpoints.get(scope["path"]) if is_post else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        let_in: LetIn | None = scope.setdefault("state", {}).get(LET_IN)
        context = RequestContext(
            id_among(scope["headers"]),
            let_in.heard_at if let_in else time.monotonic(),
            expected_by=let_in.deployment if let_in else None,
            route=scope["path"],
        )
        scope["app"] = self._app
        scope["state"]["context"] = context
        request = Request(scope, receive)

        async def send_and_note(message: Message) -> None:
            await send(message)
            context.has_begun = True

        try:
            try:
                response = await endpoint.answer(request, _query(endpoint.query, scope["query_string"]))
            except Exception as error:  # noqa: BLE001 - whatever it is, the client is told, and the log where it is ours
                response = answer_to(error, request)
            is_draining = self._is_draining()
            mark(response, context, is_draining=is_draining)
            exchange: Exchange | None = scope["state"].get(EXCHANGE)
            if (
                exchange is not None
                and not is_draining
                and exchange.answer(response.status_code, response.raw_headers, bytes(response.body))
            ):
                context.has_begun = True
            else:
                await response(scope, receive, send_and_note)
        except asyncio.CancelledError:
            if is_stopping(scope, self._is_draining):
                await give_up(context, scope, receive, send_and_note)
            raise
        finally:
            record(self._metrics, scope, context)


def _as_meant(scope: Scope) -> Scope:
    """With the address as it is written here, and GET for HEAD.

    A redirect to the other spelling is not followed with a body by most clients; health checks ask by HEAD. The server
    knows from the scope of its own that no body is sent.
    """
    path: str = scope["path"]
    if path.endswith("/") and path != "/":
        scope = {**scope, "path": path.rstrip("/") or "/"}
    return {**scope, "method": "GET", SAID: "HEAD"} if scope["method"] == "HEAD" else scope


def _query(kind: type[BaseModel], query_string: bytes) -> BaseModel:
    """As FastAPI reads one: of a parameter that comes twice the last counts, and an empty one is there."""
    read = _read_once if len(query_string) <= LONGEST_KEPT else _read
    return read(kind, query_string)


def _read(kind: type[BaseModel], query_string: bytes) -> BaseModel:
    given = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError(
            [{**item, "loc": ("query", *item["loc"])} for item in error.errors()]
        ) from error


_read_once = lru_cache(maxsize=256)(_read)
"""What it returns is frozen; errors are not kept."""
