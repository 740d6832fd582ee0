"""The HTTP application: `uvicorn app.api.app:create_app --factory`, or `lineside serve`.

Nothing is built or read at import time. Models load while the server already answers /livez.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from app import __version__
from app.api import health, inference, models, page
from app.api.context import ContextMiddleware
from app.api.failures import TOLD, answer_from_fastapi
from app.api.front import Front
from app.api.gate import Gate
from app.api.logs import configure_logging
from app.api.openapi import described
from app.api.shutdown import graceful_signals
from app.settings import Settings, load_settings
from app.wiring import Wiring

DESCRIPTION = """
Serves fine-tuned image classifiers beside a production line, and shows their evidence.

Post the picture's bytes to `/predict` for the class, or to `/explain` for the class and why.
Errors are problem documents (RFC 9457) with a stable `code` and the request's `id`.
"""


def create_app(settings: Settings | None = None) -> ASGIApp:
    """The application, FastAPI's with the front before it; settings default to the environment's.

    Raises:
        SettingsInvalid: an unknown LINESIDE_ variable or a bad value.
    """
    settings = settings or load_settings()
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    wiring = Wiring(settings)
    catalogue = wiring.catalogue
    gate = Gate(
        wiring.service.admission,
        settings,
        wiring.metrics,
        paths=inference.ENDPOINTS.keys(),
        is_draining=lambda: catalogue.is_draining,
    )

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
        servers=[{"url": "."}],  # beside openapi.json, wherever a proxy put it
        docs_url=None,  # page.py has it, with addresses that a proxy may move
        redoc_url=None,
        static_url=page.SWAGGER,
        redirect_slashes=False,  # the front takes both spellings
        generate_unique_id_function=lambda route: route.name,  # what a generated client calls it
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.service = wiring.service
    app.state.metrics = wiring.metrics
    app.add_middleware(ContextMiddleware, metrics=wiring.metrics, is_draining=lambda: catalogue.is_draining)
    for error in TOLD:
        app.add_exception_handler(error, answer_from_fastapi)
    app.mount("/static", page.PageFiles(directory=page.STATIC), name="static")
    for room in (inference, models, health, page):
        app.include_router(room.router)
    app.openapi = partial(described, app)  # type: ignore[method-assign] # as FastAPI's documentation has it
    return Front(app, inference.ENDPOINTS, metrics=wiring.metrics, is_draining=lambda: catalogue.is_draining)
