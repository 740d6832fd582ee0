"""A place in a model's queue is for what the network has yet to see; what is still drawn holds none."""

import threading
import time
from pathlib import Path

import httpx
from support.pictures import picture_file
from support.server import test_settings, threaded_server

PATIENCE_S = 60.0


def metric(url: str, name: str) -> float:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name}{{"))


def test_picture_that_is_drawn_leaves_its_place_to_the_next(repository: Path) -> None:
    """Five megapixels as PNG take much longer to draw than the network took; the queue has one place."""
    large, statuses = picture_file(2, width=2600, height=1950), list[int]()

    def explain(url: str) -> None:
        asked = {"params": {"format": "png"}, "headers": {"Accept": "image/png"}}
        statuses.append(httpx.post(f"{url}/explain", content=large, timeout=60, **asked).status_code)

    knobs = {"max_queue_entries": 1, "image_threads": 2, "max_overlay_side_px": 2600}
    with threaded_server(test_settings(repository, **knobs)) as url:
        assert httpx.post(f"{url}/predict", content=picture_file(1), timeout=60).status_code == 200
        thread = threading.Thread(target=explain, args=(url,))
        thread.start()
        end = time.monotonic() + PATIENCE_S
        while metric(url, "lineside_batch_size_sum") < 2:
            assert time.monotonic() < end
        waiting = metric(url, "lineside_queue_entries")
        meanwhile = httpx.post(f"{url}/predict", content=picture_file(1), timeout=60)
        thread.join(PATIENCE_S)

    assert waiting == 0
    assert meanwhile.status_code == 200, meanwhile.text
    assert statuses == [200]
