"""POST /predict: the contract of DESIGN section 5, over a socket."""

import asyncio
import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from support.pictures import MEDIA_TYPES, picture_file, pixels

KEYS = [
    *("id", "class", "class_index", "probability", "top_k", "model", "image", "cam"),
    *("batch_size", "timings_ms", "warnings"),
]
STAGES = ["decode", "preprocess", "queue", "inference", "render", "total"]


def test_reply_has_the_shape_that_integrators_were_promised(client: httpx.Client) -> None:
    """Every key of DESIGN section 5, in its order, with its meaning."""
    response = client.post("/predict", content=picture_file(1))

    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    reply = response.json()
    assert list(reply) == KEYS
    assert [list(score) for score in reply["top_k"]] == [["class", "class_index", "probability", "logit"]] * 3
    assert reply["class"] == reply["top_k"][0]["class"]
    assert reply["probability"] == reply["top_k"][0]["probability"]
    assert sum(score["probability"] for score in reply["top_k"]) == pytest.approx(1)
    assert reply["model"]["name"] == "line"
    assert reply["model"]["version"] == 1
    assert reply["model"]["digest"].startswith("sha256:")
    assert reply["image"] == {"width": 160, "height": 120, "format": "JPEG"}
    assert reply["cam"] is None
    assert list(reply["timings_ms"]) == STAGES
    stages = [ms for key, ms in reply["timings_ms"].items() if key != "total"]
    assert 0 < sum(stages) <= reply["timings_ms"]["total"]


@pytest.mark.parametrize("file_format", MEDIA_TYPES)
def test_every_accepted_format_is_read_raw_and_as_multipart(client: httpx.Client, file_format: str) -> None:
    """The same file gives the same answer both ways, whatever Content-Type says."""
    data = picture_file(3, file_format)
    replies = [
        client.post("/predict", content=data, headers={"Content-Type": declared}).json()
        for declared in (MEDIA_TYPES[file_format], "application/octet-stream", "text/plain")
    ]
    replies.append(client.post("/predict", files={"file": ("photo.xyz", data, "image/png")}).json())

    assert [reply["image"]["format"] for reply in replies] == [file_format] * 4
    assert len({str(reply["top_k"]) for reply in replies}) == 1


def test_top_k_is_how_many_classes_come_back(client: httpx.Client) -> None:
    """In order of probability; more than there are is not an error."""
    counts = {
        k: len(client.post(f"/predict?top_k={k}", content=picture_file(1)).json()["top_k"]) for k in (1, 2, 9)
    }

    assert counts == {1: 1, 2: 2, 9: 3}


def test_cam_is_the_overlay_on_the_original_picture(client: httpx.Client) -> None:
    """A JPEG of the picture's own size."""
    reply = client.post("/predict?cam=true", content=picture_file(1)).json()

    cam = reply["cam"]
    drawn = Image.open(io.BytesIO(base64.b64decode(cam["data"])))
    assert (cam["media_type"], cam["width"], cam["height"]) == ("image/jpeg", 160, 120)
    assert (drawn.format, drawn.size) == ("JPEG", (160, 120))
    assert reply["timings_ms"]["render"] > 0
    assert np.abs(np.asarray(drawn, dtype=int) - pixels(1)).mean() < 80, "the photograph stays readable"


def test_timings_are_in_a_header_too(client: httpx.Client) -> None:
    """Server-Timing, as browsers' developer tools show it."""
    header = client.post("/predict", content=picture_file(1)).headers["server-timing"]

    assert [part.split(";dur=")[0] for part in header.split(", ")] == STAGES


def test_request_id_is_the_clients_own_or_a_new_one(client: httpx.Client) -> None:
    """In the header and in the body; an odd one is not echoed."""
    own, odd, new = (
        client.post("/predict", content=picture_file(1), headers=headers)
        for headers in ({"X-Request-Id": "B-2020.07.29-0000430"}, {"X-Request-Id": "a b{}<script>"}, {})
    )

    assert own.headers["x-request-id"] == own.json()["id"] == "B-2020.07.29-0000430"
    assert odd.headers["x-request-id"] == odd.json()["id"] != "a b{}<script>"
    assert len(new.json()["id"]) == 26


def test_sixteen_at_once_get_what_each_gets_alone(server: str) -> None:
    """Whoever they rode with; tests/wiring has the same with batches for sure."""
    pictures = [picture_file(seed) for seed in range(16)]
    with httpx.Client(base_url=server, timeout=60) as client:
        alone = [client.post("/predict", content=data).json() for data in pictures]

    async def all_at_once() -> list[dict[str, Any]]:
        async with httpx.AsyncClient(base_url=server, timeout=60) as together:
            calls = (together.post("/predict", content=data) for data in pictures)
            return [response.json() for response in await asyncio.gather(*calls)]

    crowd = asyncio.run(all_at_once())
    for one, other in zip(alone, crowd, strict=True):
        logits, again = ({s["class"]: s["logit"] for s in reply["top_k"]} for reply in (one, other))
        assert again == pytest.approx(logits, rel=1e-5, abs=1e-5)
