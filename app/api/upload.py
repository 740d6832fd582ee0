"""The body of a request to the bytes of one picture: raw, or multipart with one part `file`.

Nothing is spooled to disk and nothing is kept beyond the limit: it is counted while it is read. Every byte is copied
once at most, from the chunk it came in to the file that is returned; a raw body that came in one chunk is that chunk.
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
    upload = _Upload(request, max_bytes, hold)
    try:
        async for chunk in request.stream():
            upload.add(chunk)
    except ClientDisconnect:
        raise ClientLeft from None
    return upload.file()


def picture_at_hand(request: Request, body: bytes, *, max_bytes: int, hold: Callable[[int], None]) -> bytes:
    """The same of a request whose body was read, all of it."""
    upload = _Upload(request, max_bytes, hold)
    upload.add(body)
    return upload.file()


class _Upload:
    """A body as it comes in; arguments as of `read_picture`, errors too."""

    def __init__(self, request: Request, max_bytes: int, hold: Callable[[int], None]) -> None:
        headers: dict[bytes, bytes] = dict(request.scope["headers"])
        _check_declared_length(headers.get(b"content-length", b""), max_bytes)
        self._max_bytes = max_bytes
        self._hold = hold
        self._read = 0
        self._first = b""
        """Of a body that is the file, while there is no other chunk of it."""
        self._body: BytesIO | None = None
        """Its getvalue() is its own memory, where join() or bytes() would make a second one."""
        self._form: _FileForm | None = None
        content_type = headers.get(b"content-type", b"")
        is_multipart = b"multipart" in content_type.lower()
        kind, options = parse_options_header(content_type) if is_multipart else (b"", {})
        if kind == b"multipart/form-data":
            self._body = BytesIO()
            self._form = _FileForm(options.get(b"boundary"), self._body)

    def add(self, chunk: bytes) -> None:
        """The next of it."""
        self._read += len(chunk)
        if self._read > self._max_bytes:
            raise BodyTooLarge(_too_large(self._max_bytes))
        if not chunk:
            return
        self._hold(len(chunk))
        if self._form is not None:
            self._form.feed(chunk)
        elif self._body is not None:
            self._body.write(chunk)
        elif not self._first:
            self._first = chunk
        else:
            self._body = BytesIO()
            self._body.write(self._first)
            self._body.write(chunk)
            self._first = b""

    def file(self) -> bytes:
        """What was uploaded, once all has come."""
        if self._form is not None:
            self._form.finish()
        picture = self._first if self._body is None else self._body.getvalue()
        if not picture:
            raise InvalidRequest(
                f"the {'part `file`' if self._form else 'body'} is empty: send the picture's bytes as the body, "
                "or as multipart/form-data in one part named `file`"
            )
        if self._form is None and picture.startswith(b"--") and b"form-data" in picture[:LOOKED_AT]:
            raise InvalidRequest(
                "the body is a form, but its Content-Type is not multipart/form-data with a boundary: let your HTTP library "
                "set it, or send the picture's bytes as they are"
            )
        return picture


def _check_declared_length(declared: bytes, max_bytes: int) -> None:
    if declared.isdigit() and int(declared) > max_bytes:
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
