"""The two hot addresses are answered without FastAPI, and nobody can tell."""

import logging
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp
from support.server import test_settings

from app.api.app import create_app
from app.api.front import Endpoint, Front
from app.api.inference import ENDPOINTS
from app.api.schemas import PredictQuery
from app.metrics import Metrics


async def asked(app: ASGIApp, method: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://line") as client:
        return await client.request(method, path)


def front(answer: object) -> tuple[Front, Metrics]:
    behind, metrics = FastAPI(), Metrics()

    @behind.api_route("/predict", methods=["GET", "POST"])
    def beyond() -> str:
        return "FastAPI"

    endpoints = {"/predict": Endpoint(PredictQuery, answer)}  # type: ignore[arg-type]
    return Front(behind, endpoints, metrics=metrics, is_draining=lambda: True), metrics


async def told(request: Request, query: PredictQuery) -> Response:
    return Response(f"{request.app.title} {query.top_k}")


async def failing(request: Request, query: PredictQuery) -> Response:
    raise RuntimeError("a bug")


async def test_only_the_post_of_its_own_address_is_answered_in_front() -> None:
    app, _ = front(told)

    assert (await asked(app, "POST", "/predict?top_k=2")).text == "FastAPI 2"
    assert (await asked(app, "GET", "/predict")).json() == "FastAPI"
    assert (await asked(app, "POST", "/predict/?top_k=3")).text == "FastAPI 3"


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("top_k=0", "top_k: Input should be greater than 0"),
        ("top=1&top_k=", "top_k: Input should be a valid integer, unable to parse string as an integer; "
                         "unknown parameter top"),
        ("cam=perhaps", "cam: Input should be a valid boolean, unable to interpret input"),
        ("top_k=1&top_k=0", "top_k: Input should be greater than 0"),
    ],
)  # fmt: skip
async def test_wrong_query_is_told_as_fastapi_would(query: str, detail: str) -> None:
    answer = await asked(front(told)[0], "POST", f"/predict?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["detail"] == detail


async def test_a_bug_is_answered_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    app, metrics = front(failing)

    answer = await asked(app, "POST", "/predict")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["x-request-id"] == answer.json()["id"]
    assert answer.headers["connection"] == "close"
    assert "a bug" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "a bug" in str(record.exc_info[1])
    assert b'lineside_requests_total{model="",route="/predict",status="500"} 1.0' in metrics.render()


async def test_what_is_documented_is_what_is_answered(repository: Path) -> None:
    """FastAPI describes the endpoints that the front calls, with the queries that it checks."""
    paths = (await asked(create_app(test_settings(repository)), "GET", "/openapi.json")).json()["paths"]

    for path, endpoint in ENDPOINTS.items():
        parameters = paths[path]["post"]["parameters"]
        documented = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        assert documented == set(endpoint.query.model_fields)
