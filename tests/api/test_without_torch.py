"""A CPU box: the server needs no torch to answer, and does not import it where it is installed."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from support.bundles import write_random_bundle
from support.pictures import picture_file
from support.server import server_process

from app.exporting.export import export_bundle

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = {"a.jpg": picture_file(1), "b.png": picture_file(2, "PNG")}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose one bundle brings its OpenVINO form."""
    repository = tmp_path_factory.mktemp("models")
    bundle = write_random_bundle(repository, golden=GOLDEN)
    folder = bundle.folder / "openvino"
    folder.mkdir()
    export_bundle(bundle, folder)
    return repository


def libraries(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text("utf-8", "replace")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_torch_is_imported_when_a_layer_is_asked_for_and_not_before(exported: Path, tmp_path: Path) -> None:
    """490 MB that a line which only predicts and explains never pays."""
    with server_process(exported, tmp_path / "log", LOG_FORMAT="text") as server:
        model = httpx.get(f"{server.url}/models/line").json()
        with httpx.Client(base_url=server.url, timeout=120) as client:
            for path in ("/predict?cam=true", "/explain", "/explain?check=full&against=castrate&target=boar"):
                assert client.post(path, content=picture_file(3)).status_code == 200, path
            assert "libtorch" not in libraries(server.process.pid)

            reply = client.post("/explain?layers=all&deadline_ms=60000", content=picture_file(3))

        assert reply.status_code == 200
        assert [each["layer"] for each in reply.json()["explanation"]["layers"]["maps"]] == model["layers"]
        assert "libtorch" in libraries(server.process.pid)
        assert (model["engine"], model["precision"]) == ("openvino", "float32")


def test_impatient_question_about_layers_is_told_to_come_back(exported: Path, tmp_path: Path) -> None:
    """503 with Retry-After, not a time-out; the loading goes on, and meanwhile predictions are answered."""
    with (
        server_process(exported, tmp_path / "log") as server,
        httpx.Client(base_url=server.url, timeout=120) as client,
    ):
        early = client.post("/explain?layers=all&deadline_ms=100", content=picture_file(3))
        assert client.post("/predict", content=picture_file(3)).status_code == 200
        later = client.post("/explain?layers=all&deadline_ms=60000", content=picture_file(3))

    assert (early.status_code, early.json()["code"]) == (503, "not_ready")
    assert int(early.headers["retry-after"]) >= 1
    assert "LINESIDE_LAYER_MAPS" in early.json()["detail"]
    assert later.status_code == 200


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of requirements-edge.lock and this project, as the edge image has it."""
    folder = tmp_path_factory.mktemp("edge")
    uv = [sys.executable, "-m", "uv"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / ".uv")}
    if not (ROOT / ".uv" / "uv").exists():
        pytest.skip("uv, with which `make` installs everything, is not in .uv/")
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, folder], env=env, check=True)
    into = ["--python", folder / "bin/python"]
    lock = ROOT / "requirements-edge.lock"
    subprocess.run([*uv, "pip", "install", "-q", *into, "--require-hashes", "-r", lock], env=env, check=True)
    subprocess.run([*uv, "pip", "install", "-q", *into, "--no-deps", ROOT], env=env, check=True)
    return folder


def edge_run(edge: Path, repository: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env["LINESIDE_MODEL_REPOSITORY"] = str(repository)
    command = [edge / "bin/lineside", *arguments]
    return subprocess.run(
        command, env=env, cwd=edge, capture_output=True, text=True, timeout=120, check=False
    )


def test_edge_environment_has_no_torch_and_serves_what_was_exported(
    edge: Path, exported: Path, tmp_path: Path
) -> None:
    """Class, probability and map are those of this environment, which has torch."""
    asked = ("/predict?cam=true", "/explain")
    with server_process(exported, tmp_path / "log") as server:
        here = [httpx.post(server.url + path, content=picture_file(3), timeout=60).json() for path in asked]
    command = edge / "bin/lineside"
    with server_process(exported, tmp_path / "edge.log", command=command) as server:
        there = [httpx.post(server.url + path, content=picture_file(3), timeout=60).json() for path in asked]
        layers = httpx.post(f"{server.url}/explain?layers=all", content=picture_file(3), timeout=60)

    for mine, its in zip(here, there, strict=True):
        assert its["class"] == mine["class"]
        assert its["probability"] == pytest.approx(mine["probability"], abs=1e-5)
    assert there[0]["cam"]["data"]
    assert there[1]["explanation"]["grid"] == here[1]["explanation"]["grid"]
    assert layers.status_code == 422
    assert list(edge.rglob("site-packages/torch*")) == []


def test_edge_environment_says_what_it_cannot_do(edge: Path, exported: Path, tmp_path: Path) -> None:
    """A bundle without a form names `lineside export`; a command that needs torch names the extra."""
    bare = tmp_path / "models"
    write_random_bundle(bare, golden=GOLDEN, seed=77)  # which nobody here has converted into the cache

    refused = edge_run(edge, bare, "verify", "line")
    importing = edge_run(edge, exported, "import", "weights.pth")
    listing = edge_run(edge, exported, "models")
    proved = edge_run(edge, exported, "verify", "line")
    torch_wanted = edge_run(edge, exported, "verify", "line", "--device", "cuda")

    assert refused.returncode == 1
    assert "lineside export line" in " ".join(refused.stdout.split() + refused.stderr.split())
    assert importing.returncode == 1
    assert "lineside[torch]" in importing.stderr
    assert "Traceback" not in importing.stderr + torch_wanted.stderr
    assert listing.returncode == proved.returncode == 0
    assert torch_wanted.returncode != 0
