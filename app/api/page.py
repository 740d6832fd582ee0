"""GET /: the page for people. Static files, no build step, nothing from outside this server."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse

router = APIRouter(include_in_schema=False)

STATIC = Path(__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@router.get("/")
async def page() -> FileResponse:
    """Drop a picture, see the class and why."""
    return FileResponse(STATIC / "index.html", media_type="text/html", headers=HEADERS)
