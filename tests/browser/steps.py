"""What a reader does and sees, by name."""

import math
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Route
from support.pictures import picture_file

from app.domain import RegionOfInterest

KOREAN = {"castrate": "거세", "boar": "수", "female": "암"}
EXPECTED = RegionOfInterest(0.4, 0.3, 0.9, 0.8)
GOLDEN = {
    "first.jpg": picture_file(1, width=320, height=240),
    "second.png": picture_file(2, "PNG", width=320, height=240),
    "third.jpg": picture_file(3, width=320, height=240),
}

DROP = """([files, text]) => {
    const transfer = new DataTransfer();
    for (const [name, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name));
    if (text) transfer.setData("text/plain", text);
    const drop = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
    document.querySelector("#stage").dispatchEvent(drop);
}"""


def served_as(page: Page, **changes: Any) -> None:
    """Reload, with the model described otherwise."""

    def described(route: Route) -> None:
        reply = route.fetch()
        body = reply.json()
        body["models"][0] |= changes
        route.fulfill(response=reply, json=body)

    page.route("**/models", described)
    page.reload()
    page.locator("#samples button").first.wait_for()


def choose_sample(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()
    wait_for_answer(page, name)


def choose_file(page: Page, name: str, data: bytes) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": data})


def drop(page: Page, *files: tuple[str, bytes], text: str = "") -> None:
    page.evaluate(DROP, [[[name, list(data)] for name, data in files], text])


def wait_for_answer(page: Page, name: str) -> None:
    """Until the answer for that picture is on the page."""
    page.locator(f"#plain[alt*='{name}']").wait_for()
    page.locator("body:not(.working) #result").wait_for()


def hold(page: Page, pattern: str) -> list[Route]:
    """Requests of that pattern reach nobody until the test lets them go on."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(pattern, keep)
    return held


def verdict(page: Page) -> str:
    return page.locator("#verdict-label").inner_text()


def bar(page: Page, class_name: str) -> Locator:
    return page.locator(f"#bars button[data-class='{class_name}']")


def overlay_opacity(page: Page) -> float:
    return float(page.locator("#overlay").evaluate("image => getComputedStyle(image).opacity"))


def share(fraction: float, template: str = "{} %") -> str:
    """As the page promises to write it: never rounded up to all or down to nothing."""
    whole = math.floor(fraction * 100 + 0.5)
    if whole == 100 and fraction < 1:
        return "> " + template.format(99)
    if whole == 0 and fraction > 0:
        return "< " + template.format(1)
    return template.format(whole)


def problem(page: Page) -> str:
    """What the page says went wrong."""
    shown = page.locator("#problem")
    shown.wait_for()
    return shown.inner_text()


def percent(probability: float, template: str = "{} %") -> str:
    """As the page promises to write it."""
    if probability >= 0.9995:
        return "> " + template.format("99.9")
    if probability < 0.0005:
        return "< " + template.format("0.1")
    return template.format(f"{probability * 100:.1f}")


def size_of(image: Locator) -> Any:
    return image.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])")


@dataclass
class Watch:
    """What a page must not do, as far as it did."""

    origin: str
    faults: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Requests that failed: the browser writes them to the console, and some tests want them."""
    may_fail: bool = False

    def follow(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            kind = self.failures if "Failed to load resource" in message.text else self.faults
            kind.append(message.text)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.faults.append(f"left the origin: {request.url}")
