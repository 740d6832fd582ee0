"""A head like one that was read before is read no more: what comes of it is what reading it would have given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.heads import head_of_post, known_head, made_readable

LINES = (
    b"Host: x",
    b"Content-Type: image/jpeg",
    b"Connection: close",
    b"connection: keep-alive",
    b"Expect: 100-continue",
    b"X-Request-Id: a-1",
    b"Transfer-Encoding: chunked",
    b"Upgrade: h2c",
    b" folded: content-length: 5",
    b"Content-Length : 7",
    b"CONTENT-LENGTH: 12",
    b"content-length:12",
    b"Content-Length: 61000",
    b"Content-Length: 0",
    b"Content-Length: 00012",
    b"Content-Length: -1",
    b"Content-Length: 1, 1",
    b"Content-Length: 999999999999999",
    b"Content-Length: 99999999999999999999",
    b"A: \xea\xb0\x80",
    b"B: content-length: 5",
    b"no header at all",
)


def read(data: bytes) -> object:
    """As it is read where it is like no other."""
    return head_of_post(data) if made_readable(data) is data else None


def told(head: object) -> object:
    """All but the length among its headers, which nobody looks at."""
    if head is None:
        return None
    path, query, headers, *rest = head  # type: ignore[misc]
    return path, query, {name: value for name, value in headers.items() if name != b"content-length"}, *rest


@given(
    st.sampled_from(
        [b"POST /predict HTTP/1.1", b"POST /predict?top_k=1 HTTP/1.0", b"GET / HTTP/1.1", b"POST"]
    ),
    st.lists(st.sampled_from(LINES), max_size=5),
)
def test_known_head_is_what_reading_it_gives(first: bytes, lines: list[bytes]) -> None:
    """Or nothing, and then it is read."""
    data = b"\r\n".join([first, *lines, b"", b""])
    known = known_head(data)

    assert known is None or told(known) == told(read(data))


@pytest.mark.parametrize("length", [b"0", b"61000", b"999999999999999"])
def test_only_the_length_may_differ(length: bytes) -> None:
    head = (
        b"POST /predict?top_k=2 HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\nX-Request-Id: b\r\n\r\n" % length
    )
    known = known_head(head)

    assert known is not None
    assert (known.path, known.query_string, known.body_length) == ("/predict", b"top_k=2", int(length))
    assert known.headers[b"x-request-id"] == b"b"
    assert not known.is_last
    assert known_head(head.replace(b"1.1", b"1.0")) == known._replace(is_last=True)


def test_two_lengths_are_nobodys() -> None:
    """Whoever reads the other one would find another request behind it."""
    assert known_head(b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\n") is None
    assert known_head(b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") is None
