"""The carcass model, from real Keras to a served answer: one command between."""

import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from support.bundles import CARCASS, MAX_PIXELS
from support.keras_models import WARNINGS, carcass_model, keras, predicted
from support.server import test_settings, threaded_server
from typer.testing import CliRunner

from app.cli.main import app
from app.domain import Geometry
from app.images.decode import decode
from app.images.preprocess import preprocess

pytestmark = WARNINGS


def square(folder: Path) -> Path:
    """Another size than the model's."""
    path = folder / "square.toml"
    path.write_text('[preprocess]\nsteps = [{ resize = [96, 96], interpolation = "bilinear" }]\n', "utf-8")
    return path


@pytest.mark.slow
def test_carcass_model_of_keras_is_imported_and_serves_what_keras_answers(
    tmp_path: Path, carcass_photographs: list[Path]
) -> None:
    """Class, probabilities and 5 x 5 map over HTTP, on all fifteen photographs."""
    model = carcass_model()
    checkpoint = tmp_path / "weight.h5"
    model.save(checkpoint)
    command = ["import", str(checkpoint), "--out", str(tmp_path / "models" / "pig-sex"), "--json"]

    asked = CliRunner().invoke(app, command)
    done = CliRunner().invoke(app, [*command, "--classes", "castrate,boar,female", "--preprocess", "carcass"])

    assert asked.exit_code == 2, asked.output
    assert "--classes" in asked.output
    assert "--preprocess" in asked.output
    assert "RGB / 255 (scale = 1/255); keras.applications.resnet.preprocess_input" in asked.output
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["status"] == "imported"
    assert "pixels, the file's own graph" not in done.stdout

    other = CliRunner().invoke(
        app, [*command, "--dry-run", "--classes", "a,b,c", "--preprocess", str(square(tmp_path))]
    )
    warnings = [note["text"] for note in json.loads(other.stdout)["notes"] if note["kind"] == "warning"]
    assert (
        "--preprocess square.toml ends in 96 x 96 pixels, the file's own graph takes 224 x 224 pixels"
        in warnings
    )
    checkpoint.unlink()

    geometry = Geometry(CARCASS)
    crops = np.stack(
        [
            preprocess(decode(path.read_bytes(), geometry=geometry, max_pixels=MAX_PIXELS), CARCASS).pixels
            for path in carcass_photographs
        ]
    )
    images = crops / np.float32(255)
    probabilities = predicted(model, images)
    *_, convolution, _, dense = model.layers
    maps = predicted(keras().Model(model.inputs, convolution.output), images) @ np.asarray(
        dense.get_weights()[0]
    )

    with threaded_server(test_settings(tmp_path / "models", batch_sizes=(1,))) as url:
        assert httpx.get(f"{url}/readyz").json() == {"ready": True, "reasons": []}
        for path, expected, evidence in zip(carcass_photographs, probabilities, maps, strict=True):
            reply = httpx.post(f"{url}/explain", content=path.read_bytes(), timeout=60).json()
            served = [0.0] * 3
            for score in reply["top_k"]:
                served[score["class_index"]] = score["probability"]
            assert reply["class_index"] == int(expected.argmax())
            assert served == pytest.approx(expected.tolist(), abs=1e-4)
            grid = np.array(reply["explanation"]["grid"]["values"])
            assert grid.shape == (5, 5)
            np.testing.assert_allclose(
                grid, evidence[:, :, reply["class_index"]], atol=1e-4 * np.abs(evidence).max()
            )
