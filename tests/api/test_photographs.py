"""The fifteen real carcass photographs, through the demo bundle and through the carcass model's own form."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from support.bundles import CARCASS, CARCASS_HEAD, write_random_bundle
from support.pictures import MEDIA_TYPES
from support.server import test_settings, threaded_server
from torchvision.transforms import v2

from app.bundles.repository import Bundle
from app.checkpoints.weights import read_weights
from app.nets.servable import load_servable

DEMO = Path(__file__).parents[2] / "models" / "carcass-demo"
ACCEPTED = ["application/json", "image/jpeg", "image/png", "image/webp", "application/x-npy"]


@pytest.fixture(scope="module")
def carcass_model(tmp_path_factory: pytest.TempPathFactory, carcass_photographs: list[Path]) -> Bundle:
    """Its weights are random. A resnet18, whose cells lie as a resnet50's and which is converted in a third of the time."""
    root = tmp_path_factory.mktemp("models")
    return write_random_bundle(
        root, name="pig-sex", architecture="resnet18", head=CARCASS_HEAD, steps=CARCASS, seed=7
    )


@pytest.fixture(scope="module")
def server(carcass_model: Bundle) -> Iterator[str]:
    """Both models."""
    root = carcass_model.weights_path.parents[2]
    shutil.copytree(DEMO, root / "carcass-demo")
    with threaded_server(test_settings(root)) as url:
        yield url


@pytest.mark.parametrize("model", ["carcass-demo", pytest.param("pig-sex", marks=pytest.mark.slow)])
def test_every_photograph_is_predicted_and_explained_in_every_form(
    server: str, carcass_photographs: list[Path], model: str
) -> None:
    """As TIFF and re-encoded in every accepted format; the explanation in every media type."""
    assert len(carcass_photographs) == 15
    with httpx.Client(base_url=server, timeout=120, params={"model": model}) as client:
        for path in carcass_photographs:
            tiff = path.read_bytes()
            with Image.open(path) as photograph:
                for file_format, media_type in MEDIA_TYPES.items():
                    buffer = io.BytesIO()
                    photograph.save(buffer, file_format)
                    upload = tiff if file_format == "TIFF" else buffer.getvalue()
                    reply = client.post(
                        "/predict", content=upload, headers={"Content-Type": media_type}
                    ).json()
                    assert reply["image"] == {"width": 768, "height": 574, "format": file_format}
                    assert reply["model"]["name"] == model
            for accept in ACCEPTED:
                response = client.post("/explain", content=tiff, headers={"Accept": accept})
                assert (response.status_code, response.headers["content-type"]) == (200, accept)
                if accept.startswith("image/"):
                    with Image.open(io.BytesIO(response.content)) as drawn:
                        assert drawn.size == (768, 574)


def test_carcass_model_sees_the_bottom_right_and_places_its_five_by_five_cells_there(
    server: str, carcass_photographs: list[Path]
) -> None:
    """Cells look at input pixels 32.5, 64.5, ... 160.5 of a crop that begins at 149 of 373; laid over the whole
    input they would be drawn at 48, 80, ... 176."""
    photograph = carcass_photographs[0].read_bytes()
    with httpx.Client(base_url=server, timeout=120, params={"model": "pig-sex"}) as client:
        reply = client.post("/explain", content=photograph).json()
        laid = client.post("/explain", content=photograph, params={"align": "half_pixel"}).json()

    geometry = reply["explanation"]["geometry"]
    x, y = 768 / 373, 574 / 373
    assert reply["explanation"]["grid"]["shape"] == [5, 5]
    assert geometry["field_of_view"] == pytest.approx([149 * x, 149 * y, 768, 574])
    assert geometry["cell_to_original"] == pytest.approx([32 * x, (149 + 16.5) * x, 32 * y, (149 + 16.5) * y])
    as_libraries_do = laid["explanation"]["geometry"]["cell_to_original"]
    assert as_libraries_do == pytest.approx([32 * x, (149 + 32) * x, 32 * y, (149 + 32) * y])


def test_served_probabilities_are_those_of_plain_torchvision_transforms(
    server: str, carcass_model: Bundle, carcass_photographs: list[Path]
) -> None:
    """The manifest's steps and the training script's are one: resize 373 nearest, bottom-right 224, / 255."""
    servable = load_servable(carcass_model.network_spec, read_weights(carcass_model.weights_path))
    resize = v2.Resize((373, 373), v2.InterpolationMode.NEAREST)
    with httpx.Client(base_url=server, timeout=120, params={"model": "pig-sex", "top_k": 3}) as client:
        for path in carcass_photographs:
            with Image.open(path) as photograph:
                crop = np.array(resize(photograph.convert("RGB")))[149:, 149:]
            with torch.inference_mode():
                logits, _ = servable(torch.from_numpy(crop)[None])
            reply = client.post("/predict", content=path.read_bytes()).json()
            served = {score["class_index"]: score["logit"] for score in reply["top_k"]}
            expected = logits[0].tolist()
            assert [served[index] for index in range(3)] == pytest.approx(expected, rel=1e-4, abs=1e-4)
