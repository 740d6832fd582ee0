"""Every answer's date is that of its second, though no clock ticks in an idle server."""

import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from support.server import test_settings, threaded_server

from app.api import dates
from app.api import server as server_module
from app.api.dates import DatedState


def test_date_is_that_of_the_second_however_long_nothing_was_asked(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LATE_S", 86_400)
    with threaded_server(test_settings(repository, engine="torch")) as url, httpx.Client() as client:
        for _ in range(2):
            before = int(time.time())
            said = client.get(f"{url}/livez").headers["date"]
            assert before <= parsedate_to_datetime(said).timestamp() <= time.time()
            time.sleep(1.1)


def test_what_stands_beside_the_date_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000_000.9
    monkeypatch.setattr(dates.time, "time", lambda: now)
    state = DatedState()
    assert state.default_headers == [(b"date", b"Sun, 09 Sep 2001 01:46:40 GMT")]
    state.default_headers = [(b"server", b"x")]
    first = state.default_headers
    assert first == [(b"date", b"Sun, 09 Sep 2001 01:46:40 GMT"), (b"server", b"x")]
    now += 0.05
    assert state.default_headers is first
    now += 0.1
    assert state.default_headers == [(b"date", b"Sun, 09 Sep 2001 01:46:41 GMT"), (b"server", b"x")]


def test_idle_server_sleeps(repository: Path) -> None:
    """A process that wakes for nothing pays on a virtual machine, and so does whoever shares its cores."""
    before = {thread.ident for thread in threading.enumerate()}
    with threaded_server(test_settings(repository, engine="torch")) as url:
        httpx.get(f"{url}/livez")
        server = [thread for thread in threading.enumerate() if thread.ident not in before]
        time.sleep(0.2)  # the connection is gone
        since = {thread.native_id: switches(thread) for thread in server}
        time.sleep(3)
        assert sum(switches(thread) - since[thread.native_id] for thread in server) <= 1


def switches(thread: threading.Thread) -> int:
    """How often it has gone to sleep, as Linux counts it."""
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    return int(status.split("voluntary_ctxt_switches:", 1)[1].split(None, 1)[0])
