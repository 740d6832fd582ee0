"""GET /: the page for people. Static files, no build step, nothing from outside this server."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

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
