"""Settings that change what a server does: each is seen to do so."""

import io
import json
import logging
import re
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import torch
from PIL import Image
from support.pictures import picture_file
from support.server import server_process, test_settings, threaded_server


def test_overlays_of_large_pictures_are_drawn_smaller(repository: Path) -> None:
    """LINESIDE_MAX_OVERLAY_SIDE_PX; the picture's own size is still told."""
    with threaded_server(test_settings(repository, max_overlay_side_px=80)) as url:
        reply = httpx.post(f"{url}/explain", content=picture_file(1)).json()
        drawn = httpx.post(f"{url}/explain", content=picture_file(1), headers={"Accept": "image/png"})

    assert (reply["cam"]["width"], reply["cam"]["height"]) == (80, 60)
    assert reply["image"] == {"width": 160, "height": 120, "format": "JPEG"}
    with Image.open(io.BytesIO(drawn.content)) as picture:
        assert picture.size == (80, 60)


def test_server_takes_no_more_requests_than_it_may(repository: Path) -> None:
    """LINESIDE_MAX_REQUESTS: one that is still uploading counts; the next is refused at once."""
    with threaded_server(test_settings(repository, max_requests=1)) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as slow:
            slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
            refusal = httpx.post(f"{url}/predict", content=picture_file(1))
            while refusal.status_code == 200:  # until the slow one has been admitted
                refusal = httpx.post(f"{url}/predict", content=picture_file(1))

    assert (refusal.status_code, refusal.json()["code"]) == (503, "queue_full")
    assert int(refusal.headers["retry-after"]) >= 1


def test_requests_hold_no_more_memory_than_they_may(repository: Path) -> None:
    """LINESIDE_MAX_REQUEST_MIB: a body that does not fit is refused while it is read."""
    settings = test_settings(repository, max_request_mib=1, max_body_mib=1.0)
    big = picture_file(1, "BMP", width=600, height=500)  # 0.9 MB of body, 1.2 MB as a picture for drawing
    with threaded_server(settings) as url:
        predicted = httpx.post(f"{url}/predict", content=big)
        explained = httpx.post(f"{url}/explain", content=big)

    assert predicted.status_code == 200
    assert (explained.status_code, explained.json()["code"]) == (503, "queue_full")


@pytest.mark.parametrize("threads", [1, 2])
def test_inference_threads_are_the_workers(repository: Path, threads: int) -> None:
    """LINESIDE_INFERENCE_THREADS reaches torch's threads that start later, as each model's worker does."""
    before = torch.get_num_threads()
    try:
        with threaded_server(test_settings(repository, engine="torch", inference_threads=threads)):
            seen: list[int] = []
            worker = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
            worker.start()
            worker.join()
    finally:
        torch.set_num_threads(before)

    assert seen == [threads]


def test_text_log_is_for_people_and_level_silences(
    repository: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """LINESIDE_LOG_FORMAT and LINESIDE_LOG_LEVEL."""
    caplog.set_level(logging.INFO)
    with server_process(repository, tmp_path / "log", LOG_FORMAT="text") as server:
        httpx.post(f"{server.url}/predict", content=picture_file(1))
        text = server.log.read_text("utf-8")
    assert "serving line version 1" in text
    assert f"curl --data-binary @photo.jpg '{server.url}/predict'" in text
    with pytest.raises(json.JSONDecodeError):
        json.loads(text.splitlines()[-1])


def test_json_log_is_for_machines_wherever_they_stand(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 3339 in UTC, and nothing that is meant for a terminal, in uvicorn's lines either."""
    monkeypatch.setenv("TZ", "Asia/Seoul")
    before = datetime.now(UTC)
    with server_process(repository, tmp_path / "log", wait=False) as server:
        server.terminate()
        assert server.wait() == 0
        lines = [json.loads(line) for line in server.log.read_text("utf-8").splitlines()]

    assert any(line["logger"] == "uvicorn.error" for line in lines)
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        written = datetime.fromisoformat(line["time"])
        assert before - timedelta(seconds=1) < written < datetime.now(UTC) + timedelta(seconds=1)
        assert "color_message" not in line
