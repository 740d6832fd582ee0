"""The HTTP application: `uvicorn app.api.app:create_app --factory`, or `lineside serve`.

Nothing is built or read at import time. Models load while the server already answers /livez.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app import __version__
from app.api import health, inference, models, page
from app.api.context import CLIENT_LEFT, ContextMiddleware, context_of
from app.api.gate import Gate
from app.api.logs import configure_logging
from app.api.problems import problem, problem_from
from app.api.shutdown import graceful_signals
from app.api.upload import ClientLeft
from app.errors import LinesideError
from app.settings import Settings, load_settings
from app.wiring import Wiring

DESCRIPTION = """
Serves fine-tuned image classifiers beside a production line, and shows their evidence.

Post the picture's bytes to `/predict` for the class, or to `/explain` for the class and why.
Errors are problem documents (RFC 9457) with a stable `code` and the request's `id`.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings default to the environment's.

    Raises:
        SettingsInvalid: an unknown LINESIDE_ variable or a bad value.
    """
    settings = settings or load_settings()
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    wiring = Wiring(settings)
    catalogue = wiring.catalogue
    gate = Gate(wiring.service, settings, wiring.metrics, is_draining=lambda: catalogue.is_draining)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Gate]]:
        loading = asyncio.create_task(wiring.load_models())
        with graceful_signals(catalogue.begin_drain, grace_s=settings.shutdown_grace_s):
            yield {"gate": gate}
        catalogue.begin_drain()
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        await wiring.close(timeout_s=settings.drain_timeout_s)

    app = FastAPIOffline(
        title="Lineside",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.service = wiring.service
    app.state.metrics = wiring.metrics
    app.add_middleware(ContextMiddleware, metrics=wiring.metrics, is_draining=lambda: catalogue.is_draining)
    app.add_exception_handler(LinesideError, _on_lineside_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_query)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientLeft, _on_client_left)
    app.mount("/static", page.PageFiles(directory=page.STATIC), name="static")
    for room in (inference, models, health, page):
        app.include_router(room.router)
    return app


async def _on_lineside_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LinesideError)  # noqa: S101 - registered for this class alone
    context = context_of(request)
    context.refused(error)
    return problem_from(error, request_id=context.id)


async def _on_invalid_query(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
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


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    context = context_of(request)
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    detail = f"{request.method} {request.url.path}: see /docs for what there is"
    return problem(code, detail, request_id=context.id, headers=dict(error.headers or {}))


async def _on_client_left(request: Request, _error: Exception) -> Response:
    context_of(request).status = CLIENT_LEFT
    return Response(status_code=CLIENT_LEFT)  # nobody reads it
