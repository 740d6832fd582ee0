"""Promises of reading a body: what comes out, what is refused, and that no upload is held twice."""

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.requests import Request

from app.api.upload import read_picture
from app.errors import BodyTooLarge, InvalidRequest, QueueFull

MIB = 2**20
CHUNK = 64 * 1024
"""What uvicorn hands over at once, at most."""
BOUNDARY = b"a-line-between-the-parts"
PLAIN = "application/octet-stream"
FORM = f"multipart/form-data; boundary={BOUNDARY.decode()}"


def part(name: bytes, data: bytes) -> bytes:
    head = (
        b'Content-Disposition: form-data; name="%b"; filename="p.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        % name
    )
    return b"--" + BOUNDARY + b"\r\n" + head + data + b"\r\n"


def form(data: bytes) -> bytes:
    return part(b"file", data) + b"--" + BOUNDARY + b"--\r\n"


def pieces(body: bytes, size: int = CHUNK) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


async def read(
    chunks: Iterator[bytes],
    media_type: str = PLAIN,
    *,
    max_bytes: int = 64 * MIB,
    hold: Callable[[int], None] = lambda _count: None,
) -> bytes:
    """As the server calls it; each chunk exists only once it is asked for, as on a socket."""

    async def receive() -> dict[str, Any]:
        chunk = next(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", media_type.encode())]}
    return await read_picture(Request(scope, receive), max_bytes=max_bytes, hold=hold)


@pytest.mark.parametrize("size", [1, 7, 100, CHUNK])
@pytest.mark.parametrize("kind", [PLAIN, FORM])
async def test_the_bytes_come_out_whatever_the_chunks_are(kind: str, size: int) -> None:
    """Also where the data itself looks like the beginning of a boundary."""
    data = bytes(range(256)) * 3 + b"\r\n--" + BOUNDARY[:5] + b"\r\n\r\n--\r"
    body = form(data) if kind == FORM else data

    assert await read(pieces(body, size), kind) == data


@pytest.mark.parametrize("kind", [PLAIN, FORM])
async def test_a_large_upload_is_held_once(kind: str) -> None:
    """What is returned, an eighth of room to grow, and the chunk that has just come in."""
    size = 24 * MIB

    def body() -> Iterator[bytes]:
        if kind == FORM:
            yield part(b"file", b"")[:-2]
        for number in range(size // CHUNK):
            yield bytes([number % 251]) * CHUNK
        if kind == FORM:
            yield b"\r\n--" + BOUNDARY + b"--\r\n"

    tracemalloc.start()
    try:
        data = await read(body(), kind)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(data) == size
    assert [data[number * CHUNK] for number in (0, 1, 250, 251, 383)] == [0, 1, 250, 0, 132]
    assert peak < 1.2 * size


@pytest.mark.parametrize("kind", [PLAIN, FORM])
async def test_nothing_is_read_beyond_the_limit(kind: str) -> None:
    asked = 0

    def endless() -> Iterator[bytes]:
        nonlocal asked
        if kind == FORM:
            yield part(b"file", b"")[:-2]
        while True:
            asked += 1
            yield bytes(CHUNK)

    with pytest.raises(BodyTooLarge, match="2 MiB"):
        await read(endless(), kind, max_bytes=2 * MIB)

    assert asked <= 2 * MIB // CHUNK + 1


async def test_every_chunk_is_announced_before_it_is_kept() -> None:
    told: list[int] = []

    def hold(count: int) -> None:
        told.append(count)
        if sum(told) > 3 * CHUNK:
            raise QueueFull("no room")

    with pytest.raises(QueueFull):
        await read(pieces(bytes(10 * CHUNK)), hold=hold)

    assert told == [CHUNK] * 4


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (form(b""), "empty"),
        (part(b"image", b"x"), "unexpected part 'image'"),
        (part(b"file", b"x") + form(b"y"), "two parts"),
        (part(b"file", b"x"), "before its closing boundary"),
    ],
)
async def test_a_form_without_exactly_one_whole_file_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        await read(pieces(body, 11), FORM)
