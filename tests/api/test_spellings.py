"""An address is found however a client writes it, and whatever it asks of it."""

import json
from pathlib import Path

import httpx
import pytest
from support.full_server import connected, head
from support.pictures import picture_file
from support.server import test_settings, threaded_server

PICTURE = picture_file(1)


def test_slash_at_the_end_is_no_other_address(client: httpx.Client) -> None:
    """Few clients follow a redirect with a body."""
    assert client.post("/predict/", content=PICTURE).json()["class"]
    assert client.post("/explain/?top_k=1", content=PICTURE).json()["cam"]
    assert client.get("/models/").json() == client.get("/models").json()
    assert client.get("/static/").status_code == 404


def test_pluses_of_a_method_may_be_typed(client: httpx.Client) -> None:
    """A plus in an address is a blank, which no method has."""
    reply = client.post("/explain?method=gradcam++", content=PICTURE).json()

    assert reply["explanation"]["method"] == "gradcam++"


def test_slash_at_the_end_is_counted_with_the_address(client: httpx.Client) -> None:
    client.post("/predict/?top_k=0", content=PICTURE)

    assert 'route="/predict/"' not in client.get("/metrics").text


@pytest.mark.parametrize("address", ["/", "/livez", "/readyz", "/metrics", "/models", "/openapi.json"])
def test_head_is_told_what_get_is_without_the_body(client: httpx.Client, address: str) -> None:
    """As `wget --spider` and balancers ask; over one connection, which a body would put out of step."""
    for _ in range(2):
        told, whole = client.head(address), client.get(address)
        assert (told.status_code, told.content) == (200, b"")
        assert told.headers["content-type"] == whole.headers["content-type"]
        assert "content-length" in told.headers


def test_head_of_what_is_not_there_is_told(client: httpx.Client) -> None:
    assert client.head("/nothing-here").status_code == 404
    assert client.head("/predict").status_code == 405


@pytest.mark.parametrize("target", ["거세", "암"])
def test_korean_is_read_as_curl_sends_it(repository: Path, target: str) -> None:
    """Not percent-encoded, which no parser here would read."""
    path = f"/explain?target={target}".encode()
    with threaded_server(test_settings(repository)) as url, connected(url) as connection:
        for _ in range(2):
            connection.sendall(head(b"Content-Length: %d" % len(PICTURE), path=path) + PICTURE)
            answered = connection.recv(1 << 16)
            assert answered.startswith(b"HTTP/1.1 422 ")
            document = json.loads(answered.partition(b"\r\n\r\n")[2])
            assert document["code"] == "unknown_class"
            assert target in document["detail"]
