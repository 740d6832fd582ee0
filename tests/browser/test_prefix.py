"""The page under a path of a proxy, and without its scripts."""

import re

from browser.steps import Watch, wait_for_answer
from playwright.sync_api import Browser, Page, Route, expect


def test_the_page_works_under_a_path(browser: Browser, server: str, watch: Watch) -> None:
    """Its files, samples, questions and the command that it shows."""

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
    context.close()


def test_a_page_without_its_scripts_says_so(page: Page, watch: Watch) -> None:
    """In both languages, and offers nothing that would not work."""
    watch.may_fail = True
    page.route("**/static/page.js", lambda route: route.fulfill(status=404))

    page.reload()

    expect(page.locator("#waiting")).to_contain_text("scripts did not load")
    expect(page.locator("#waiting")).to_contain_text("스크립트를 불러오지 못한")
    assert page.locator("button:visible, select:visible, input:visible").count() == 0
