"""The head of a POST, read without a connection's state: where a request goes, and how long its body is."""

from collections.abc import Mapping
from typing import NamedTuple

import httptools


class Head(NamedTuple):
    """A POST, before its body."""

    path: str
    query_string: bytes
    headers: Mapping[bytes, bytes]
    """Names in lower case; of one that comes twice, the last."""
    body_length: int
    """Bytes."""
    is_last: bool
    """The client takes one answer only, or is too old to say."""

    @property
    def waits(self) -> bool:
        """The client sends its body once it is told to go on."""
        return b"expect" in self.headers


class _Ears:
    """What the parser calls: without a frame of Python's for each header."""

    __slots__ = ("headers", "on_header", "on_url", "urls")

    def __init__(self) -> None:
        self.urls: list[bytes] = []
        self.headers: dict[bytes, bytes] = {}
        self.on_url = self.urls.append
        self.on_header = self.headers.__setitem__


def head_of_post(data: bytes) -> Head | None:
    """Read a head.

    Args:
        data: from the method's first byte to the empty line's last.

    Returns:
        None where it is no POST, cannot be read, or does not say how long its body is.
    """
    if not data.startswith(b"POST "):
        return None
    ears = _Ears()
    parser = httptools.HttpRequestParser(ears)
    try:
        parser.feed_data(data)
        url = httptools.parse_url(b"".join(ears.urls))
        path = url.path.decode("ascii")
    except (httptools.HttpParserError, httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        return None  # an upgrade, too
    headers = {name.lower(): value for name, value in ears.headers.items()}
    if b"transfer-encoding" in headers:
        return None
    length = int(headers.get(b"content-length", b"0"))
    is_last = b"close" in headers.get(b"connection", b"").lower() or parser.get_http_version() != "1.1"
    return Head(path, url.query or b"", headers, length, is_last)
