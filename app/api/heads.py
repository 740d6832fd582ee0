"""Heads, before any parser with a connection's state hears them: made readable, and of a POST where it goes and how long its body is."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import httptools

POST: Final = b"POST "
END_OF_HEAD: Final = b"\r\n\r\n"
LONGEST_HEAD: Final = 1 << 13
"""Bytes of a head that are waited for; a longer one is uvicorn's."""
_UPGRADE: Final = re.compile(rb"(?<=\n)upgrade(?=[ \t]*:)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: ([0-9]{1,15})\r\n", re.IGNORECASE)
_NO_ASCII: Final = re.compile(rb"[\x80-\xff]")


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
    is_plain: bool
    """No header comes twice: these are all, in their order."""

    @property
    def waits(self) -> bool:
        """The client sends its body once it is told to go on."""
        return b"expect" in self.headers


def end_of_head(data: bytes, at: int) -> int | None:
    """Where the head ends that begins at `at`; 0: it is none that would be waited for; None: it has not ended yet."""
    end = data.find(END_OF_HEAD, at)
    if end >= 0:
        return end + len(END_OF_HEAD)
    is_post = data.startswith(POST, at) or POST.startswith(data[at:])
    return None if is_post and len(data) - at < LONGEST_HEAD else 0


class _Ears:
    """What the parser calls: without a frame of Python's for each header."""

    __slots__ = ("headers", "on_header", "on_url", "urls")

    def __init__(self) -> None:
        self.urls: list[bytes] = []
        self.headers: dict[bytes, bytes] = {}
        self.on_url = self.urls.append
        self.on_header = self.headers.__setitem__


def known_head(data: bytes) -> Head | None:
    """As `head_of_post`, of a head like one that was read lately, but for its body's length; else None.

    A line asks the same of every picture, and in a flood what it takes to read a head is missing to those who are answered.
    The length among its headers is that of the other.
    """
    found = _LENGTH.search(data)
    if found is None:
        return None
    like = _with_any_length(data[: found.start(1)], data[found.end(1) :])
    return like and Head(
        like.path, like.query_string, like.headers, int(found[1]), like.is_last, like.is_plain
    )


@lru_cache(maxsize=256)
def _with_any_length(before: bytes, after: bytes) -> Head | None:
    data = before + b"1" + after
    return head_of_post(data) if made_readable(data) is data else None


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
        headers = {name.lower(): value for name, value in ears.headers.items()}
        length = int(headers.get(b"content-length", b"0"))
        path = (url.path or b"").decode("ascii")
    except (
        httptools.HttpParserError,
        httptools.HttpParserInvalidURLError,
        httptools.HttpParserUpgrade,
        ValueError,
    ):
        return None
    if b"transfer-encoding" in headers:
        return None
    is_last = parser.get_http_version() != "1.1" or _ends_connection(data, headers)
    is_plain = len(headers) == data.count(b"\n") - 2
    return Head(path, url.query or b"", headers, length, is_last, is_plain)


def _ends_connection(data: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Or nobody can tell at a glance: of several lines the last is known, and to close is never wrong."""
    said = headers.get(b"connection", b"").lower()
    if b"close" in said and b"close" in [token.strip() for token in said.split(b",")]:
        return True
    return bool(said) and data.lower().count(b"\nconnection:") > 1


def made_readable(data: bytes) -> bytes:
    """A head as httptools reads it to the end, whatever else its client offers to speak, and however it writes addresses.

    Java's HttpClient offers HTTP/2 with every request by default, its body behind it; httptools takes what follows such a
    head for the other protocol. A server may ignore the offer (RFC 9110, 7.8). The header gets another name, not removed,
    so that a line which continues it continues no other. Korean in an address, as curl sends it, is percent-encoded.
    """
    # The expression takes microseconds, and this is asked of every head of a flood.
    if b"\nupgrade" in data.lower():
        data = _UPGRADE.sub(b"x-upgrade", data)
    if not data.isascii():
        first, end, rest = data.partition(b"\r\n")
        data = _NO_ASCII.sub(lambda byte: b"%%%02X" % ord(byte[0]), first) + end + rest
    return data
