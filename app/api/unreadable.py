"""The answer to what is no HTTP/1.1 request: a problem document as every error has, though it never became a request.

first bytes of it -> what it probably is, and the fix -> one message, then the connection ends
"""

from typing import Final

from app.api.problems import MEDIA_TYPE, document

CODE: Final = "malformed_request"
STATUS: Final = 400
_USUAL: Final = (
    "no HTTP/1.1 request that can be read: look at its first line, its Content-Length and Transfer-Encoding"
)
TOO_LONG: Final = "the head of the request, its address and headers, is longer than 64 KiB"
_BY_BEGINNING: Final = (
    (
        b"\x16\x03",
        "TLS on the port of plain HTTP: say http:// and not https://, or put a proxy that ends TLS before it",
    ),
    (b"PRI * HTTP/2", "HTTP/2 without an upgrade: this server speaks HTTP/1.1"),
)


def meaning_of(beginning: bytes) -> str:
    """The detail, told from the first bytes that came."""
    return next((meaning for start, meaning in _BY_BEGINNING if beginning.startswith(start)), _USUAL)


def answer(detail: str, *, request_id: str) -> bytes:
    """The whole message."""
    body = document(CODE, detail, request_id=request_id)
    head = (
        f"HTTP/1.1 {STATUS} Bad Request\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
        f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
