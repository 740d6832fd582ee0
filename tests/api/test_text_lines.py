"""Log lines for a person: who was refused can be looked up by what the client was told, and nobody writes lines of their own."""

import logging

import pytest

from app.api.logs import TextLines


def line(message: str, *arguments: object, level: int = logging.INFO, **extra: object) -> str:
    record = logging.makeLogRecord({"msg": message, "args": arguments, "levelno": level, **extra})
    return TextLines("%(message)s").format(record)


ASKED = {"id": "01K", "client": "10.0.0.7", "model": None}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            line("%s %s %d", "POST", "/predict", 422, path="/predict", status=422, code="unreadable_image", **ASKED),
            "POST /predict 422 (unreadable_image, 10.0.0.7, 01K)",
        ),
        (
            line("no HTTP request: %s", "TLS", status=400, code="malformed_request", id="01K", client="10.0.0.7"),
            "no HTTP request: TLS (malformed_request, 10.0.0.7, 01K)",
        ),
        (
            line("no HTTP request: %s", "TLS", status=400, code="malformed_request", id="01K", client=None),
            "no HTTP request: TLS (malformed_request, 01K)",
        ),
        (line("%s %s %d", "POST", "/predict", 499, path="/predict", status=499, code=None, **ASKED), "POST /predict 499 (10.0.0.7, 01K)"),
        (line("unexpected error", id="01K"), "unexpected error (01K)"),
        (line("%s %s %d", "GET", "/models", 200, path="/models", status=200, code=None, **ASKED), "GET /models 200"),
        (line("refused %s: %s", "line", "2 problems:\n- one\n- two"), "refused line: 2 problems:\n- one\n- two"),
    ],
)  # fmt: skip
def test_what_was_refused_can_be_looked_up(said: str, shown: str) -> None:
    """docs/http.md: the `id` is in the server's log."""
    assert said == shown


def test_address_cannot_become_a_line_or_a_colour_of_its_own() -> None:
    """`GET /x%0A12:00:00 INFO serving` was two lines."""
    path = "/x\n12:00:00 INFO    serving\x1b[31m"

    said = line("%s %s %d", "GET", path, 404, path=path, status=404, code="not_found", **ASKED)

    assert (
        said
        == "GET /x\N{REPLACEMENT CHARACTER}12:00:00 INFO    serving\N{REPLACEMENT CHARACTER}[31m 404 (not_found, 10.0.0.7, 01K)"
    )
