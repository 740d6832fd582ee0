"""The page under a path of a proxy, and without its scripts."""

import re
from collections.abc import Iterator

import pytest
from browser.steps import Watch, wait_for_answer
from playwright.sync_api import Browser, Page, Route, expect


@pytest.fixture
def behind(browser: Browser, server: str, watch: Watch) -> Iterator[Page]:
    """A page for which the server lies under /line1/ alone, as a proxy would put it."""

    def proxy(route: Route) -> None:
        address = route.request.url
        if not address.startswith(f"{server}/line1/"):
            route.fulfill(status=404, body="nothing here")
        else:
            route.fulfill(response=route.fetch(url=address.replace("/line1/", "/", 1)))

    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    watch.follow(page)
    page.route("**/*", proxy)
    yield page
    context.close()


def test_the_page_works_under_a_path(behind: Page, server: str) -> None:
    """Its files, samples, questions and the command that it shows."""
    page = behind
    page.goto(f"{server}/line1/")
    page.get_by_role("button", name="second.png").click()
    wait_for_answer(page, "second.png")

    command = page.locator("#curl").inner_text()
    addresses = re.findall(r"'(http[^']+)'", command)
    assert [address.partition("?")[0] for address in addresses] == [
        f"{server}/line1/models/line/1/golden/second.png",
        f"{server}/line1/explain",
    ]
    sample = page.locator("#samples img").first
    assert sample.evaluate("image => image.decode().then(() => image.naturalWidth)") == 320


@pytest.mark.parametrize("spelling", ["docs", "docs/"])
def test_the_interface_can_be_tried_out_under_a_path(behind: Page, server: str, spelling: str) -> None:
    """Its scripts, its description, and what it asks."""
    page = behind
    page.goto(f"{server}/line1/{spelling}")
    block = page.locator("[id$='-livez']").first
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()

    expect(block.locator(".request-url pre")).to_have_text(f"{server}/line1/livez")
    expect(block.locator(".live-responses-table tbody .response-col_status")).to_contain_text("200")


def test_a_page_without_its_scripts_says_so(page: Page, watch: Watch) -> None:
    """In both languages, and offers nothing that would not work."""
    watch.may_fail = True
    page.route("**/static/page.js", lambda route: route.fulfill(status=404))

    page.reload()

    expect(page.locator("#waiting")).to_contain_text("scripts did not load")
    expect(page.locator("#waiting")).to_contain_text("스크립트를 불러오지 못한")
    assert page.locator("button:visible, select:visible, input:visible").count() == 0
