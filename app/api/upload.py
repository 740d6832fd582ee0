"""The body of a request to the bytes of one picture: raw, or multipart with one part `file`.

Nothing is spooled to disk and nothing is kept beyond the limit: it is counted while it is read. Every byte is copied
once, from the chunk it came in to the file that is returned.
"""

from collections.abc import Callable
from io import BytesIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from app.api.leaving import ClientLeft
from app.errors import BodyTooLarge, InvalidRequest

PART = "file"
LOOKED_AT = 1024
"""Bytes at the beginning of a body in which a form would say what it is."""


async def read_picture(request: Request, *, max_bytes: int, hold: Callable[[int], None]) -> bytes:
    """The uploaded file.

    Args:
        request: whose body was not read yet.
        max_bytes: of the whole body.
        hold: told of every chunk before it is kept; may raise QueueFull.

    Raises:
        BodyTooLarge: told from Content-Length, or while reading.
        InvalidRequest: empty, multipart without exactly one part `file`, or a form that is not called so.
        ClientLeft: the client did.
    """
    _check_declared_length(request, max_bytes)
    content_type = request.headers.get("content-type", "")
    body = BytesIO()  # whose getvalue() is its own memory, where join() or bytes() would make a second one
    sink: Callable[[bytes], object] = body.write
    form: _FileForm | None = None
    kind, options = parse_options_header(content_type) if "multipart" in content_type.lower() else (b"", {})
    if kind == b"multipart/form-data":
        form = _FileForm(options.get(b"boundary"), body)
        sink = form.feed
    read = 0
    try:
        async for chunk in request.stream():
            read += len(chunk)
            if read > max_bytes:
                raise BodyTooLarge(_too_large(max_bytes))
            if chunk:
                hold(len(chunk))
                sink(chunk)
    except ClientDisconnect:
        raise ClientLeft from None
    if form is not None:
        form.finish()
    if not body.tell():
        raise InvalidRequest(
            f"the {'part `file`' if form else 'body'} is empty: send the picture's bytes as the body, "
            "or as multipart/form-data in one part named `file`"
        )
    picture = body.getvalue()
    if form is None and picture.startswith(b"--") and b"form-data" in picture[:LOOKED_AT]:
        raise InvalidRequest(
            "the body is a form, but its Content-Type is not multipart/form-data with a boundary: let your HTTP library "
            "set it, or send the picture's bytes as they are"
        )
    return picture


def _check_declared_length(request: Request, max_bytes: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > max_bytes:
        raise BodyTooLarge(_too_large(max_bytes))


def _too_large(max_bytes: int) -> str:
    return (
        f"more than the {max_bytes / 1024 / 1024:g} MiB that are allowed: send a smaller file, "
        "or raise LINESIDE_MAX_BODY_MIB"
    )


class _FileForm:
    """Copies the one part named `file` of a multipart body into a buffer, as it comes in."""

    def __init__(self, boundary: bytes | None, sink: BytesIO) -> None:
        if not boundary:
            raise InvalidRequest(
                "multipart/form-data without a boundary; let your HTTP library set Content-Type"
            )
        self._sink = sink
        self._field = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._found = False
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begin,
                    "on_part_data": self._part_data,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise InvalidRequest(f"not a valid multipart/form-data body: {error}") from error

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise InvalidRequest(f"not a valid multipart/form-data body: {error}") from error

    def finish(self) -> None:
        if not self._found:
            raise InvalidRequest(f"no part named `{PART}`: send the picture in one part of that name")
        if not self._ended:
            raise InvalidRequest("the multipart/form-data body ends before its closing boundary")

    def _part_begin(self) -> None:
        self._headers.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != PART:
            raise InvalidRequest(
                f"unexpected part {name!r}: send the picture in one part named `{PART}` and everything else "
                "in the query"
            )
        if self._found:
            raise InvalidRequest(f"two parts named `{PART}`: send one picture a request")
        self._found = True

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._sink.write(memoryview(data)[start:end])

    def _end(self) -> None:
        self._ended = True
