"""Which thread computes a lone picture."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.pictures import picture_file
from support.server import test_settings, threaded_server

from app.engines.torch_engine import TorchEngine


@pytest.mark.parametrize(("takes_any_thread", "expected"), [(True, "image_"), (False, "worker-")])
def test_lone_picture_is_computed_where_it_was_read_if_the_engine_takes_any_thread(
    repository: Path, monkeypatch: pytest.MonkeyPatch, *, takes_any_thread: bool, expected: str
) -> None:
    """And the answers are the same, beside others as well."""
    names: list[str] = []
    computed = TorchEngine.run

    def noted(self: TorchEngine, images: Any) -> Any:
        names.append(threading.current_thread().name)
        return computed(self, images)

    monkeypatch.setattr(TorchEngine, "takes_any_thread", takes_any_thread)
    monkeypatch.setattr(TorchEngine, "run", noted)
    settings = test_settings(repository, engine="torch", image_threads=2)
    with threaded_server(settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        names.clear()  # of the proof
        lone = [client.post("/predict", content=picture_file(n)).json()["top_k"] for n in (1, 2, 3)]
        where = list(names)
        with ThreadPoolExecutor(6) as pool:
            together = list(
                pool.map(
                    lambda n: httpx.post(f"{url}/predict", content=picture_file(n), timeout=60).json(),
                    (1, 2, 3) * 6,
                )
            )

    assert len(where) == 3
    assert all(name.startswith(expected) for name in where)
    for answer, scores in zip(together, lone * 6, strict=True):
        assert [one["class"] for one in answer["top_k"]] == [one["class"] for one in scores]
