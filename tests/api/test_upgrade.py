"""Who offers another protocol gets its answer in this one: Java's HttpClient offers HTTP/2 with every request by default."""

from pathlib import Path

import pytest
from support.full_server import connected, full_server, head
from support.pictures import picture_file
from support.server import test_settings, threaded_server

from app.api.heads import head_of_post, made_readable

PICTURE = picture_file(1)
OFFER = (
    b"Connection: Upgrade, HTTP2-Settings",
    b"Content-Length: %d" % len(PICTURE),
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    b"Upgrade: h2c",
    b"User-Agent: Java-http-client/17",
)


@pytest.mark.parametrize("lead", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"])
@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_picture_behind_an_offer_is_answered_again_and_again(
    repository: Path, piece: int, lead: bytes
) -> None:
    with threaded_server(test_settings(repository)) as url, connected(url) as connection:
        for _ in range(2):
            if lead:
                connection.sendall(lead)
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")
            asked = head(*OFFER)
            for start in range(0, len(asked), piece):
                connection.sendall(asked[start : start + piece])
            connection.sendall(PICTURE)
            answered = connection.recv(1 << 16)
            assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b'"class":' in answered


def test_full_server_is_told_to_who_makes_an_offer(repository: Path) -> None:
    with full_server(repository) as url, connected(url) as connection:
        for _ in range(2):
            connection.sendall(head(*OFFER) + PICTURE)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("offer", [b"h2c", b"websocket"])
def test_page_is_there_for_who_would_rather_speak_otherwise(repository: Path, offer: bytes) -> None:
    asked = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % offer
    with threaded_server(test_settings(repository)) as url, connected(url) as connection:
        for _ in range(2):
            connection.sendall(asked)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("line", [b"Upgrade: h2c", b"UPGRADE:h2c", b"upgrade\t: h2c", b"Upgrade: h2c,\r\n x"])
def test_offer_is_taken_out_of_a_head_and_nothing_else(line: bytes) -> None:
    """Not what only looks like one; a line that continues it continues no other."""
    asked = b"POST /upgrade: HTTP/1.1\r\nHost: x\r\n%b\r\nX-Upgrade: a\r\nA: upgrade: b\r\n\r\n" % line

    changed = made_readable(asked)

    assert changed == asked.replace(line, b"x-upgrade" + line[len("upgrade") :])


def test_head_that_still_offers_is_not_the_gates_to_read() -> None:
    assert head_of_post(head(*OFFER)) is None
