"""The clients of examples/clients/, run as an integrator would, against real servers."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.bundles import write_random_bundle
from support.full_server import filled
from support.pictures import picture_file
from support.server import test_settings, threaded_server

CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
PITCH = "10"
"""Seconds; a machine that is shared with others is slower than a line."""

Ask = Callable[..., list[str]]


@pytest.fixture(params=["python", "java"], scope="module")
def ask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """(address, photographs) -> what the client writes about each."""
    if request.param == "python":
        command = [sys.executable, str(CLIENTS / "lineside_client.py")]
    elif shutil.which("javac") is None:
        pytest.skip("no JDK (17 or later) is on this machine")
    else:
        classes = str(tmp_path_factory.mktemp("classes"))
        source = str(CLIENTS / "LinesideClient.java")
        subprocess.run(["javac", "-d", classes, source], check=True, timeout=120)
        # A whole compiler in tiers costs more than these few calls.
        command = ["java", "-XX:TieredStopAtLevel=1", "-cp", classes, "LinesideClient"]

    def asked(url: str, *photographs: Path, pitch: str = PITCH) -> list[str]:
        done = subprocess.run(
            [*command, url, pitch, *map(str, photographs)],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        lines = done.stdout.splitlines()
        assert len(lines) == len(photographs), done.stderr
        return [line.partition(": ")[2] for line in lines]

    return asked


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """With one place, which `filled` takes."""
    repository = tmp_path_factory.mktemp("models")
    write_random_bundle(repository)
    with threaded_server(test_settings(repository, max_requests=1, engine="torch")) as url:
        yield url


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    (file := tmp_path / "photo.jpg").write_bytes(picture_file(1))
    return file


def test_good_picture_is_answered_and_a_bad_one_is_told_by_its_code(
    ask: Ask, server: str, photograph: Path, tmp_path: Path
) -> None:
    """The one after a bad one is not hurt."""
    (bad := tmp_path / "bad.jpg").write_bytes(b"no picture")

    first, second, third = ask(server, photograph, bad, photograph)

    assert first.split()[0] in {"castrate", "boar", "female"}
    assert 0 < float(first.split()[1]) <= 1
    assert second.startswith("decide by hand (unreadable_image")
    assert third == first


def test_address_may_name_the_model(ask: Ask, server: str, photograph: Path) -> None:
    [known] = ask(f"{server}?model=line&version=1", photograph)
    [unknown] = ask(f"{server}/?model=cow", photograph)

    assert known.split()[0] in {"castrate", "boar", "female"}
    assert unknown.startswith("decide by hand (unknown_model")


def test_full_server_is_asked_once_more_then_it_is_by_hand(ask: Ask, server: str, photograph: Path) -> None:
    """After Retry-After, and not at all where the pitch ends before."""
    with filled(server):
        assert ask(server, photograph)[0].startswith("decide by hand (queue_full")
        assert ask(server, photograph, pitch="0.6")[0].startswith("decide by hand (queue_full")


ANSWER = b'{"class": "boar", "probability": 0.9}'
REFUSAL = b'{"code": "queue_full", "detail": "full"}'


@contextmanager
def answering(
    *statuses: int,
    hangs_up: bool = False,
    piece_s: float = 0.0,
    refusals: Sequence[tuple[bytes, str]] = ((REFUSAL, "1"),),
) -> Iterator[tuple[str, list[int]]]:
    """A server under /line that answers with these in turn; its address, and the client's port of each request.

    Args:
        statuses: 200 gives an answer, the others a refusal.
        hangs_up: after each of them.
        piece_s: from one byte of a body to the next.
        refusals: body and Retry-After, in turn as well.
    """
    ports: list[int] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status = statuses[len(ports)] if self.path.startswith("/line/predict?") else 404
            body, retry_after = refusals[len(ports) % len(refusals)]
            ports.append(self.client_address[1])
            body = ANSWER if status == 200 and body is REFUSAL else body
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Retry-After", retry_after)
            self.end_headers()
            with suppress(OSError):  # the client has left
                for piece in [body] if not piece_s else [body[at : at + 1] for at in range(len(body))]:
                    self.wfile.write(piece)
                    over.wait(piece_s)
            self.close_connection = hangs_up

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as fake:
        threading.Thread(target=fake.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{fake.server_port}/line/", ports
        finally:
            over.set()
            fake.shutdown()


def test_connection_is_kept_and_a_second_try_counts(ask: Ask, photograph: Path) -> None:
    with answering(200, 503, 200) as (url, ports):
        assert [said.split()[0] for said in ask(url, photograph, photograph)] == ["boar", "boar"]

    assert len(ports) == 3
    assert len(set(ports)) == 1


def test_connection_that_was_closed_meanwhile_costs_no_answer(ask: Ask, photograph: Path) -> None:
    """A switch or a restart between two carcasses."""
    with answering(200, 200, hangs_up=True) as (url, ports):
        assert [said.split()[0] for said in ask(url, photograph, photograph)] == ["boar", "boar"]

    assert len(ports) == 2


def test_answer_that_dribbles_in_past_the_pitch_is_none(ask: Ask, photograph: Path) -> None:
    """It would be taken for that of another carcass."""
    with answering(200, piece_s=0.05) as (url, _):
        assert ask(url, photograph, pitch="0.6") == ["decide by hand (no answer)"]


def test_gateway_that_answers_in_words_of_its_own_ends_no_line(ask: Ask, photograph: Path) -> None:
    """Its errors are no problem documents, its Retry-After is a day, its page for people is no answer."""
    page, day = b"<h1>login</h1>", "Wed, 21 Oct 2026 07:28:00 GMT"
    refusals = [(b'{"message": "down"}', "1"), (b"[]", "1"), (page, "1"), (page, day), (REFUSAL, "1")]
    with answering(502, 502, 200, 503, 200, refusals=refusals) as (url, _):
        said = ask(url, *[photograph] * 4)

    assert [one.partition(":")[0] for one in said[:3]] == [
        f"decide by hand ({status}" for status in (502, 502, 200)
    ]
    assert said[3].split()[0] == "boar"


def test_full_server_is_left_alone_where_the_pitch_ends_before(ask: Ask, photograph: Path) -> None:
    """And asked twice, not more, where it does not."""
    with answering(503, 503, 503) as (url, ports):
        ask(url, photograph, pitch="0.9")
        asked_in_short = len(ports)
        ask(url, photograph)

    assert (asked_in_short, len(ports)) == (1, 3)
