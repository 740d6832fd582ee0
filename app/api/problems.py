"""The one table from errors to status codes, and RFC 9457 problem documents."""

import json
import math
from typing import Final

from starlette.responses import Response

from app import errors

MEDIA_TYPE = "application/problem+json"

STATUS_BY_CODE: dict[str, int] = {
    errors.UnreadableImage.code: 422,
    errors.UnsupportedImage.code: 415,
    errors.ImageTooLarge.code: 413,
    errors.BodyTooLarge.code: 413,
    errors.InvalidRequest.code: 422,
    errors.UnknownModel.code: 404,
    errors.UnknownClass.code: 422,
    errors.QueueFull.code: 503,
    errors.NotReady.code: 503,
    errors.ShuttingDown.code: 503,
    errors.DeadlineExceeded.code: 504,
    errors.LinesideError.code: 500,
    "malformed_request": 400,
    "not_found": 404,
    "method_not_allowed": 405,
}

TITLES: dict[str, str] = {
    "unreadable_image": "The picture cannot be read",
    "unsupported_image": "This kind of picture is not accepted",
    "image_too_large": "The picture has too many pixels",
    "body_too_large": "The upload has too many bytes",
    "invalid_request": "The request is not valid",
    "unknown_model": "There is no such model",
    "unknown_class": "The model has no such class",
    "queue_full": "The server is busy",
    "not_ready": "The model is not ready",
    "shutting_down": "The server is shutting down",
    "deadline_exceeded": "The answer could not be had in time",
    "internal": "The server failed",
    "malformed_request": "This is no HTTP request",
    "not_found": "There is no such address",
    "method_not_allowed": "The address does not take this method",
}

INTERNAL_DETAIL = "an error of ours; the server's log has the cause under this id"


_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Made once: an encoder costs as much as the document."""


def document(code: str, detail: str, *, request_id: str) -> bytes:
    """A problem document; `type` is about:blank, `code` is what programs should look at."""
    fields = {
        "type": "about:blank",
        "title": TITLES[code],
        "status": STATUS_BY_CODE[code],
        "detail": detail,
        "code": code,
        "id": request_id,
    }
    return _encode(fields).encode()


def problem(code: str, detail: str, *, request_id: str, headers: dict[str, str] | None = None) -> Response:
    """The response with a problem document."""
    return Response(
        document(code, detail, request_id=request_id),
        status_code=STATUS_BY_CODE[code],
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def problem_from(error: errors.LinesideError, *, request_id: str) -> Response:
    """The response to one of our errors; what is internal stays in the log."""
    detail = INTERNAL_DETAIL if error.code == errors.LinesideError.code else error.message
    headers = {"Retry-After": retry_after(error)} if isinstance(error, errors.Unavailable) else None
    return problem(error.code, detail, request_id=request_id, headers=headers)


def retry_after(error: errors.Unavailable) -> str:
    """Whole seconds, at least one: RFC 9110, 10.2.3."""
    return str(max(1, math.ceil(error.retry_after_s)))
