"""Scaled decoding over HTTP: the network's pixels are one decoder's, the picture is all of it."""

import base64
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from support.bundles import write_random_bundle
from support.server import test_settings, threaded_server

SIZE = (643, 481)


def noise(seed: int, kind: str = "JPEG", size: tuple[int, int] = SIZE) -> bytes:
    """Where decoding smaller is most unlike decoding in full and resizing then."""
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    coarse = Image.fromarray(pixels[: height // 9, : width // 9]).resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    Image.blend(Image.fromarray(pixels), coarse, 0.7).save(buffer, kind)
    return buffer.getvalue()


def set_to_scaled(folder: Path, tolerance: float = 0.9) -> None:
    path = folder / "model.toml"
    text = path.read_text("utf-8")
    assert 'decode = "exact"' in text
    text = text.replace('decode = "exact"', 'decode = "scaled"')
    path.write_text(text.replace("tolerance = 0.02", f"tolerance = {tolerance}"), "utf-8")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network three times: exact, scaled, and scaled with no golden image that shows it."""
    root = tmp_path_factory.mktemp("models")
    write_random_bundle(root, name="exact", golden={"a.jpg": noise(1), "b.png": noise(2, "PNG")})
    shutil.copytree(root / "exact", root / "scaled")
    set_to_scaled(root / "scaled" / "1")
    write_random_bundle(
        root, name="unproved", golden={"a.jpg": noise(1, size=(99, 99)), "b.png": noise(2, "PNG")}
    )
    set_to_scaled(root / "unproved" / "1")
    write_random_bundle(root, name="nothing")
    set_to_scaled(root / "nothing" / "1")
    return root


@pytest.fixture(scope="module")
def client(repository: Path) -> Iterator[httpx.Client]:
    settings = test_settings(repository, require_models="any")
    with threaded_server(settings) as url, httpx.Client(base_url=url, timeout=60) as opened:
        yield opened


def scores(reply: httpx.Response) -> dict[str, float]:
    assert reply.status_code == 200, reply.text
    return {row["class"]: row["logit"] for row in reply.json()["top_k"]}


def test_predict_and_explain_see_the_same_pixels(client: httpx.Client) -> None:
    """A picture is drawn for three of these and for one not; each network answer is the same to the bit."""
    asked = {"model": "scaled"}
    predicted = client.post("/predict", content=noise(7), params=asked)
    drawn = client.post("/predict", content=noise(7), params=asked | {"cam": "true"})
    explained = client.post("/explain", content=noise(7), params=asked)
    whole = client.post("/explain", content=noise(7), params=asked | {"view": "full"})
    exact = client.post("/predict", content=noise(7), params={"model": "exact"})

    assert scores(predicted) == scores(drawn) == scores(explained) == scores(whole)
    assert scores(predicted) != scores(exact)
    for name, logit in scores(predicted).items():
        assert logit == pytest.approx(scores(exact)[name], abs=0.5)


def test_sizes_and_places_are_the_uploaded_pictures(client: httpx.Client) -> None:
    replies = [
        client.post("/explain", content=noise(7), params={"model": name}).json()
        for name in ("scaled", "exact")
    ]

    assert replies[0]["image"] == replies[1]["image"] == {"width": 643, "height": 481, "format": "JPEG"}
    assert replies[0]["explanation"]["geometry"] == replies[1]["explanation"]["geometry"]


def test_an_overlay_is_drawn_on_the_full_picture(client: httpx.Client) -> None:
    """Without opacity nothing of the map is left on it: every pixel is the photograph's own."""
    asked = {"model": "scaled", "opacity": "0"}
    reply = client.post("/explain", content=noise(7), params=asked, headers={"Accept": "image/png"})
    assert reply.status_code == 200, reply.text
    cam = client.post("/predict", content=noise(7), params={"model": "scaled", "cam": "true"}).json()["cam"]

    with Image.open(io.BytesIO(noise(7))) as photograph, Image.open(io.BytesIO(reply.content)) as overlay:
        assert np.array_equal(np.asarray(overlay.convert("RGB")), np.asarray(photograph.convert("RGB")))
    with Image.open(io.BytesIO(base64.b64decode(cam["data"]))) as overlay:
        assert overlay.size == SIZE


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_other_formats_are_answered_as_by_the_exact_bundle(client: httpx.Client, kind: str) -> None:
    replies = [
        client.post("/predict", content=noise(8, kind), params={"model": m}) for m in ("scaled", "exact")
    ]

    assert scores(replies[0]) == scores(replies[1])


@pytest.mark.parametrize("name", ["unproved", "nothing"])
def test_scaled_decoding_that_no_golden_image_shows_is_refused_with_a_way_out(
    client: httpx.Client, name: str
) -> None:
    models = {model["name"]: model for model in client.get("/models").json()["models"]}

    assert models[name]["state"] == "refused"
    assert 'write decode = "exact"' in json.dumps(models[name], ensure_ascii=False).replace('\\"', '"')


def test_golden_images_that_do_not_bear_it_refuse_the_bundle(repository: Path, tmp_path: Path) -> None:
    """Recorded from every pixel, met by fewer: the difference is far above so small a tolerance."""
    shutil.copytree(repository / "exact", tmp_path / "strict")
    set_to_scaled(tmp_path / "strict" / "1", tolerance=1e-7)

    with threaded_server(test_settings(tmp_path)) as url:
        model = httpx.get(f"{url}/models").json()["models"][0]

    assert model["state"] == "refused"
    assert "golden images do not hold" in json.dumps(model)
