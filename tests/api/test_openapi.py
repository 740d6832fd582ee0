"""The description that clients are generated from: it knows every reply, and what is in it."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from support.full_server import full_server
from support.pictures import picture_file

PICTURE = picture_file(1)
GOLDEN = "/models/{name}/{version}/golden/{file}"


@pytest.fixture(scope="module")
def described(server: str) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"{server}/openapi.json").json()
    return document


def check(described: dict[str, Any], method: str, template: str, reply: httpx.Response) -> None:
    """It has a status, a type and headers that the description knows of this operation, and no others."""
    responses = described["paths"][template][method]["responses"]
    assert str(reply.status_code) in responses, reply.text
    declared = responses[str(reply.status_code)]
    media_type = reply.headers["content-type"].partition(";")[0]
    content = declared["content"].get(media_type) or declared["content"].get(
        f"{media_type.partition('/')[0]}/*"
    )
    assert content is not None, (reply.status_code, media_type, list(declared["content"]))
    if media_type == "application/problem+json":
        assert content["schema"] == {"$ref": "#/components/schemas/ProblemReply"}
        assert set(reply.json()) == set(described["components"]["schemas"]["ProblemReply"]["properties"])
        assert reply.json()["code"] in content["examples"]
    ours = {
        name for name in reply.headers if name.startswith(("lineside-", "x-request", "retry-", "server-"))
    }
    assert ours == {name.lower() for name in declared["headers"]}


@pytest.mark.parametrize("path", ["/predict", "/explain"])
@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", PICTURE),
        ("", b"no picture"),
        ("", b""),
        ("", picture_file(0, "GIF")),
        ("", bytes(2**20 + 1)),
        ("", picture_file(0, "PNG", width=1200, height=1000)),
        ("?top_k=0", PICTURE),
        ("?model=other", PICTURE),
    ],
)
def test_answers_and_refusals_are_described(
    client: httpx.Client, described: dict[str, Any], path: str, query: str, body: bytes
) -> None:
    check(described, "post", path, client.post(path + query, content=body))


def test_explanations_of_every_type_are_described(client: httpx.Client, described: dict[str, Any]) -> None:
    for accept in ("image/jpeg", "image/png", "image/webp", "application/x-npy", "text/html"):
        reply = client.post("/explain", content=PICTURE, headers={"Accept": accept})
        check(described, "post", "/explain", reply)
    check(described, "post", "/explain", client.post("/explain?target=cow", content=PICTURE))


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/models", "/models"),
        ("/models/{name}", "/models/line"),
        ("/models/{name}", "/models/cow"),
        ("/models/{name}", "/models/line?version=x"),
        (GOLDEN, "/models/line/1/golden/a.jpg"),
        (GOLDEN, "/models/line/1/golden/z.jpg"),
        (GOLDEN, "/models/line/2/golden/a.jpg"),
        (GOLDEN, "/models/line/x/golden/a.jpg"),
        ("/livez", "/livez"),
        ("/readyz", "/readyz"),
        ("/metrics", "/metrics"),
    ],
)
def test_what_is_looked_up_is_described(
    client: httpx.Client, described: dict[str, Any], template: str, path: str
) -> None:
    check(described, "get", template, client.get(path))


def test_want_of_room_is_described(described: dict[str, Any], repository: Path) -> None:
    with full_server(repository) as url:
        check(described, "post", "/predict", httpx.post(f"{url}/predict", content=PICTURE))


def test_names_are_those_of_the_addresses(described: dict[str, Any]) -> None:
    """A generated client calls its functions by them."""
    names = {operation["operationId"] for path in described["paths"].values() for operation in path.values()}

    assert {"predict", "explain", "list_models", "get_model", "readyz"} <= names
    assert "HTTPValidationError" not in described["components"]["schemas"]
