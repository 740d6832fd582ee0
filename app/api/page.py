"""GET /: the page for people; GET /docs: the interface to try out. Static files, no build step, nothing from outside.

Every address in them is relative to their own: a proxy may put them under a path.
"""

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

SWAGGER = "/static-offline-docs"
STATIC = Path(__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class PageFiles(StaticFiles):
    """The page's files, asked for anew each time: after an upgrade no module may meet an older one."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """With the page's headers."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(HEADERS)
        return response


@router.get("/")
async def page() -> FileResponse:
    """Drop a picture, see the class and why."""
    return FileResponse(STATIC / "index.html", media_type="text/html", headers=HEADERS)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Swagger UI on this server's own files."""
    here = "../" if request.scope["raw_path"].endswith(b"/") else ""  # both spellings are answered alike
    files = f"{here}{SWAGGER.lstrip('/')}"
    return get_swagger_ui_html(
        openapi_url=f"{here}openapi.json",
        title="Lineside: the HTTP interface",
        swagger_js_url=f"{files}/swagger-ui-bundle.js",
        swagger_css_url=f"{files}/swagger-ui.css",
        swagger_favicon_url=f"{here}static/icon.svg",
    )
