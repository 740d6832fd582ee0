"""The page in the system's Chromium, before a real `lineside serve`.

Every test also promises, without saying so: nothing is asked of another origin, nothing is written to the
console as an error, the Content-Security-Policy is not violated.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser.steps import EXPECTED, GOLDEN, KOREAN, Watch
from playwright.sync_api import Browser, Page, sync_playwright
from support.bundles import write_random_bundle
from support.server import server_process

from app.demo.browser import CHROMIUM, with_own_fonts
from app.domain import Crop, Resize, Size

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with one small model that sees only a part of each picture."""
    root = tmp_path_factory.mktemp("models")
    write_random_bundle(
        root,
        name="line",
        golden=GOLDEN,
        steps=(Resize(Size(96, 96), "bilinear"), Crop(Size(64, 64), "bottom_right")),
        notice="random weights, not for use on meat",
        display={"ko": KOREAN},
        region_of_interest=EXPECTED,
    )
    with server_process(root, tmp_path_factory.mktemp("log") / "server.log", MAX_BODY_MIB="1") as served:
        yield served.url


@pytest.fixture
def answer_for(server: str) -> Callable[[bytes], dict[str, Any]]:
    """What the server itself says of a picture."""

    def ask(data: bytes, **query: str) -> dict[str, Any]:
        reply = httpx.post(f"{server}/explain", params=query, content=data, timeout=60)
        answer: dict[str, Any] = reply.raise_for_status().json()
        return answer

    return ask


@pytest.fixture(scope="module")  # not longer: Playwright's own event loop would be in the way of async tests
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        # Korean in its own letters: boxes are of another width.
        fonts = with_own_fonts(tmp_path_factory.mktemp("fonts"))
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, env=fonts)
        yield launched
        launched.close()


@pytest.fixture
def watch(server: str) -> Iterator[Watch]:
    watch = Watch(server)
    yield watch
    assert watch.faults == []
    assert watch.may_fail or watch.failures == []


@pytest.fixture
def open_page(browser: Browser, server: str, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Opens the page as a reader would who prefers a language; keywords are Playwright's for a context."""
    contexts = []

    def open_it(locale: str = "en-GB", *, wait: bool = True, **options: Any) -> Page:
        context = browser.new_context(locale=locale, **options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        watch.follow(page)
        page.goto(server)
        if wait:
            page.locator("#samples button").first.wait_for()
        return page

    yield open_it
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """The page in English, with the model ready."""
    return open_page()
