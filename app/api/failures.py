"""What a client is told of each error, whoever answers the address: FastAPI, or the front before it."""

from collections.abc import Callable

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.api.context import CLIENT_LEFT, context_of, unexpected
from app.api.leaving import ClientLeft
from app.api.problems import problem, problem_from
from app.errors import LinesideError


def answer_to(error: Exception, request: Request) -> Response:
    """The problem document of any error that came of this request, which notes it for the log and the metrics."""
    for kind, told in TOLD.items():
        if isinstance(error, kind):
            return told(error, request)
    return unexpected(error, context_of(request))


async def answer_from_fastapi(request: Request, error: Exception) -> Response:
    """The same as one of FastAPI's exception handlers; a plain function would cost it a thread."""
    return answer_to(error, request)


def _ours(error: Exception, request: Request) -> Response:
    assert isinstance(error, LinesideError)  # noqa: S101 - see TOLD
    context = context_of(request)
    context.refused(error)
    return problem_from(error, request_id=context.id)


def _wrong_query(error: Exception, request: Request) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - see TOLD
    context = context_of(request)
    context.code = "invalid_request"
    details = "; ".join(_sentence(item) for item in error.errors())
    return problem("invalid_request", details, request_id=context.id)


def _sentence(item: dict[str, object]) -> str:
    """One validation error: `top_k: Input should be greater than 0`."""
    location = item.get("loc")
    name = ".".join(str(part) for part in location[1:]) if isinstance(location, tuple) else ""
    if item.get("type") == "extra_forbidden":
        return f"unknown parameter {name}"
    return f"{name}: {item.get('msg')}"


def _no_such_address(error: Exception, request: Request) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - see TOLD
    context = context_of(request)
    code = context.code = "method_not_allowed" if error.status_code == 405 else "not_found"
    detail = f"{request.method} {request.url.path}: see /docs for what there is"
    return problem(code, detail, request_id=context.id, headers=dict(error.headers or {}))


def _nobody(_error: Exception, request: Request) -> Response:
    context_of(request).status = CLIENT_LEFT
    return Response(status_code=CLIENT_LEFT)  # nobody reads it


TOLD: dict[type[Exception], Callable[[Exception, Request], Response]] = {
    LinesideError: _ours,
    RequestValidationError: _wrong_query,
    HTTPException: _no_such_address,
    ClientLeft: _nobody,
}
