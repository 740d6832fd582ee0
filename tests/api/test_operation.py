"""What an operator asks: models, health, metrics, docs."""

import json
import os
import sys
from collections import Counter
from pathlib import Path

import httpx
import psutil
import pytest
from starlette.types import Receive, Scope, Send
from support.bundles import write_random_bundle
from support.pictures import picture_file
from support.server import server_process, test_settings, threaded_server

from app.api.context import RequestContext, record
from app.api.front import Front
from app.domain import ModelIdentity
from app.metrics import Metrics
from app.serving.priority import GIVES_WAY_BY


def test_models_says_what_serves_and_how_it_proved_itself(client: httpx.Client) -> None:
    """Everything that a page or an integrator needs to know beforehand."""
    [model] = client.get("/models").json()["models"]

    assert (model["name"], model["version"], model["is_default"], model["state"]) == (
        "line",
        1,
        True,
        "ready",
    )
    assert model["reason"] is None
    assert model["classes"] == ["castrate", "boar", "female"]
    assert model["display"]["ko"]["female"] == "암"
    assert model["input"] == [48, 64]
    assert (model["architecture"], model["evidence"]) == ("cifar_resnet14", "exact")
    assert (model["device"], model["precision"]) == ("cpu", "float32")
    assert model["sum_rule_error"] < 1e-5
    assert list(model["latency_ms"]) == ["1", "2", "4"]
    assert model["golden"]["images"] == 2
    assert model["golden"]["max_probability_difference"] < 1e-4
    assert (model["title"], model["notice"]) == ("A line", "random weights")
    assert client.get("/models/line").json() == model
    assert client.get("/models/line?version=1").json() == model
    for address, data in zip(model["golden_images"], (picture_file(1), picture_file(2, "PNG")), strict=True):
        assert client.get(address).content == data


@pytest.mark.parametrize(
    "address", ["/models/cow", "/models/line?version=9", "/models/line/1/golden/golden.json"]
)
def test_models_that_do_not_exist_are_404(client: httpx.Client, address: str) -> None:
    """With a problem document; golden.json itself is no picture."""
    response = client.get(address)

    assert response.status_code == 404
    code = response.json()["code"]
    assert code in {"unknown_model", "not_found"}
    assert f'lineside_refused_total{{reason="{code}"}}' in client.get("/metrics").text


def test_golden_image_that_was_taken_away_is_404(client: httpx.Client, repository: Path) -> None:
    """Since the server has looked; it is no bug of ours."""
    picture = repository / "line" / "1" / "golden" / "a.jpg"
    picture.rename(picture.with_suffix(".away"))
    try:
        response = client.get("/models/line/1/golden/a.jpg")
    finally:
        picture.with_suffix(".away").rename(picture)

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_head_is_called_so_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        assert scope["method"] == "GET"
        record(Metrics(), scope, RequestContext("mine", 0.0, status=404))

    front = Front(app, {}, metrics=Metrics(), is_draining=lambda: False)
    with caplog.at_level("INFO", "lineside.access"):
        await front({"type": "http", "method": "HEAD", "path": "/nothing"}, None, None)  # type: ignore[arg-type]

    assert caplog.messages == ["HEAD /nothing 404"]


def test_devices_in_the_metrics_are_those_that_answer_now() -> None:
    """One that is lost is named no longer."""
    metrics, devices = Metrics(), ["cuda:0, cuda:1"]
    metrics.add_model(
        ModelIdentity("line", 1, "sha256:0"),
        engine="torch",
        device=lambda: devices[0],
        precision="bfloat16",
        entry_count=lambda: 0,
        out_of_service=lambda: 0,
    )
    both = metrics.render().decode()
    devices[0] = "cuda:1"
    one = metrics.render().decode()

    for text, device in ((both, "cuda:0, cuda:1"), (one, "cuda:1")):
        assert text.count("lineside_model_info{") == 1
        assert f'device="{device}"' in text


def test_health_is_ready_and_live(client: httpx.Client) -> None:
    """200, and no reasons against it."""
    assert client.get("/livez").json() == {"live": True}
    assert client.get("/readyz").json() == {"ready": True, "reasons": []}


def test_metrics_count_what_happened(client: httpx.Client) -> None:
    """All the names that dashboards are built on."""
    client.post("/predict", content=picture_file(1))
    client.post("/predict", content=b"no picture")
    text = client.get("/metrics").text

    assert 'lineside_requests_total{model="line",route="/predict",status="200"}' in text
    assert 'lineside_requests_total{model="line",route="/predict",status="422"}' in text
    for stage in ("decode", "preprocess", "queue", "inference", "render", "total"):
        assert f'lineside_stage_seconds_bucket{{le="0.001",model="line",stage="{stage}"}}' in text
    assert 'lineside_batch_size_bucket{le="1.0",model="line"}' in text
    assert 'lineside_queue_entries{model="line",version="1"} 0.0' in text
    assert 'lineside_refused_total{reason="unreadable_image"}' in text
    assert 'lineside_model_info{device="cpu",digest="sha256:' in text
    assert 'lineside_model_ready{model="line",version="1"} 1.0' in text
    assert 'lineside_devices_out_of_service{model="line",version="1"} 0.0' in text


def test_docs_need_nothing_from_outside(client: httpx.Client) -> None:
    """A plant has no internet: every script and style comes from this server, and there are examples."""
    page = client.get("/docs").text

    assert "http://" not in page
    assert "https://" not in page
    schema = client.get("/openapi.json").json()
    assert "examples" in json.dumps(schema["components"]["schemas"]["PredictionReply"])
    assert "image/tiff" in schema["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert set(schema["paths"]["/explain"]["post"]["responses"]) >= {"200", "413", "415", "422", "503", "504"}
    written = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")
    assert [path for path in schema["paths"] if path not in written] == []


def test_page_is_served_under_a_strict_policy(client: httpx.Client) -> None:
    """Nothing may be loaded from elsewhere."""
    response = client.get("/")

    assert response.status_code == 200
    assert "default-src 'self'" in response.headers["content-security-policy"]


def test_empty_repository_is_not_ready_and_says_what_to_do(tmp_path: Path) -> None:
    """Ready means: may drive the gate."""
    with threaded_server(test_settings(tmp_path)) as url:
        readiness = httpx.get(f"{url}/readyz")
        refusal = httpx.post(f"{url}/predict", content=picture_file(0))

    assert readiness.status_code == 503
    assert "holds no bundle" in readiness.json()["reasons"][0]
    assert (refusal.status_code, refusal.json()["code"]) == (503, "not_ready")
    assert int(refusal.headers["retry-after"]) >= 1


@pytest.mark.parametrize(("require", "status"), [("all", 503), ("any", 200)])
def test_refused_bundle_is_listed_with_its_reason(tmp_path: Path, require: str, status: int) -> None:
    """It keeps the server unready, unless any model is enough; the good one answers either way."""
    write_random_bundle(tmp_path, name="good")
    bad = write_random_bundle(tmp_path, name="bad", seed=1)
    bad.weights_path.write_bytes(bad.weights_path.read_bytes()[:-1000])
    with threaded_server(test_settings(tmp_path, require_models=require, engine="torch")) as url:
        readiness = httpx.get(f"{url}/readyz")
        models = {model["name"]: model for model in httpx.get(f"{url}/models").json()["models"]}
        answers = {
            name: httpx.post(f"{url}/predict?model={name}", content=picture_file(0)).status_code
            for name in ("good", "bad")
        }
        unnamed = httpx.post(f"{url}/predict", content=picture_file(0))
        metrics = httpx.get(f"{url}/metrics").text

    assert readiness.status_code == status
    assert models["bad"]["state"] == "refused"
    assert models["bad"]["reason"]
    assert answers == {"good": 200, "bad": 503}
    assert (unnamed.status_code, unnamed.json()["code"]) == (422, "invalid_request")
    assert "bad, good" in unnamed.json()["detail"]
    assert 'lineside_model_ready{model="bad",version="1"} 0.0' in metrics
    assert 'lineside_requests_total{model="bad",route="/predict",status="503"} 1.0' in metrics


def test_highest_version_answers_unless_the_request_or_a_setting_names_another(tmp_path: Path) -> None:
    """Ten is higher than nine."""
    for version in (9, 10):
        write_random_bundle(tmp_path, name="line", version=version, seed=version)
    with threaded_server(test_settings(tmp_path, engine="torch")) as url:
        highest = httpx.post(f"{url}/predict", content=picture_file(0)).json()["model"]["version"]
        named = httpx.post(f"{url}/predict?version=9", content=picture_file(0)).json()["model"]["version"]
    with threaded_server(test_settings(tmp_path, default_versions={"line": 9}, engine="torch")) as url:
        pinned = httpx.post(f"{url}/predict", content=picture_file(0)).json()["model"]["version"]
    with threaded_server(test_settings(tmp_path, default_versions={"line": 8}, engine="torch")) as url:
        readiness = httpx.get(f"{url}/readyz").json()

    assert (highest, named, pinned) == (10, 9, 9)
    assert "DEFAULT_VERSIONS" in readiness["reasons"][0]


def test_default_model_answers_when_a_request_names_none(tmp_path: Path) -> None:
    """By setting; one that does not exist keeps the server unready."""
    for name in ("posture", "sex"):
        write_random_bundle(tmp_path, name=name)
    with threaded_server(test_settings(tmp_path, default_model="sex", engine="torch")) as url:
        assert httpx.post(f"{url}/predict", content=picture_file(0)).json()["model"]["name"] == "sex"
    with threaded_server(test_settings(tmp_path, default_model="cow", engine="torch")) as url:
        assert "DEFAULT_MODEL" in httpx.get(f"{url}/readyz").json()["reasons"][0]


def test_model_that_does_not_reproduce_its_golden_images_is_refused(tmp_path: Path) -> None:
    """One changed line of preprocessing after the bundle was made, and the server is not ready."""
    bundle = write_random_bundle(tmp_path, golden={"a.png": picture_file(1, "PNG")})
    manifest = bundle.folder / "model.toml"
    text = manifest.read_text("utf-8")
    assert 'channels = "RGB"' in text
    manifest.write_text(text.replace('channels = "RGB"', 'channels = "BGR"'), "utf-8")
    with threaded_server(test_settings(tmp_path, engine="torch")) as url:
        reasons = httpx.get(f"{url}/readyz").json()["reasons"]

    assert "golden images do not hold" in reasons[0]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own on Linux alone")
def test_threads_that_compute_give_way_to_the_one_that_answers(repository: Path, tmp_path: Path) -> None:
    """As many of them as cores, and refusals would wait for their turn behind a forward pass."""
    with server_process(repository, tmp_path / "log") as server:
        assert httpx.post(f"{server.url}/predict", content=picture_file(0)).status_code == 200
        own = os.getpriority(os.PRIO_PROCESS, 0)
        process = psutil.Process(server.process.pid)
        niceness = {
            thread.id: os.getpriority(os.PRIO_PROCESS, thread.id) - own for thread in process.threads()
        }

    assert niceness[process.pid] == 0
    assert Counter(niceness.values())[GIVES_WAY_BY] >= 2  # one that decodes and the worker


def test_file_that_may_not_be_read_is_named_in_the_reason(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its folder, which is nobody's business on the network."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "/secret/place/float32.json")

    monkeypatch.setattr("app.wiring.server.deploy", refused)
    with threaded_server(test_settings(repository)) as url:
        reasons = httpx.get(f"{url}/readyz").json()["reasons"]

    assert any("`float32.json` cannot be used: Permission denied" in reason for reason in reasons)
    assert "secret" not in str(reasons)
