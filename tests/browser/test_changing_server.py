"""What the server does while an answer is on the page: restart, change models, fall silent, be busy."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser.steps import Watch, bar, choose_sample, hold, problem, verdict
from playwright.sync_api import Page, Route, expect

Models = list[dict[str, Any]]
POLL_MS = 31_000  # the page looks at the models at least that often


@pytest.fixture
def page(open_page: Callable[..., Page], watch: Watch) -> Page:
    """The page with an answer, and a clock that the test turns."""
    watch.may_fail = True
    page = open_page()
    page.clock.install()
    page.reload()
    choose_sample(page, "first.jpg")
    return page


@pytest.fixture
def silence(page: Page) -> Iterator[Callable[[str], None]]:
    """Makes the server take requests of that pattern and never answer them."""
    held: list[list[Route]] = []
    yield lambda pattern: held.append(hold(page, pattern))
    for route in itertools.chain.from_iterable(held):
        route.abort()


def hears(page: Page, change: Callable[[Models], Models]) -> None:
    """From now on the page hears something else about the models."""

    def changed(route: Route) -> None:
        reply = route.fetch()
        body = reply.json()
        route.fulfill(response=reply, json=body | {"models": change(body["models"])})

    page.route("**/models", changed)
    page.clock.fast_forward(POLL_MS)


def is_loading(models: Models) -> Models:
    return [{"name": "line", "version": 1, "state": "loading", "reason": "it is still loading"}]


# --- another model ------------------------------------------------------------------------------


def test_an_answer_outlives_a_restart(page: Page) -> None:
    """It stays readable while the model loads, and can be asked about again when the same model is back."""
    said = verdict(page)

    hears(page, is_loading)
    expect(page.locator("#waiting-title")).to_have_text("The model is loading")
    assert verdict(page) == said
    expect(page.locator("#facts")).to_contain_text("line 1")
    expect(page.locator("#bars button").first).to_be_disabled()

    page.unroute("**/models")
    page.clock.fast_forward(2000)
    expect(page.locator("#file")).to_be_enabled()
    expect(page.locator("#bars button").first).to_be_enabled()
    assert page.locator("#outdated").is_hidden()


def test_an_answer_is_never_shown_as_another_models(page: Page) -> None:
    """The model that gave it went away: it keeps its name, and the other one is asked only on request."""
    said = verdict(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    hears(page, lambda models: [model | {"name": "other", "digest": "sha256:0"} for model in models])

    expect(page.locator("#outdated-text")).to_have_text(
        "This answer is from line 1. The model that answers now is other 1."
    )
    assert verdict(page) == said
    expect(page.locator("#facts")).to_contain_text("line 1")
    expect(page.locator("#curl")).to_contain_text("model=line")
    for target in ("#bars button", "#ask-check", "#ask-layers", "#ask-classes", "#colours"):
        expect(page.locator(target).first).to_be_disabled()
    page.keyboard.press("2")
    page.keyboard.press("k")
    assert not any("/explain" in address for address in asked)

    page.get_by_role("button", name="Ask other 1").click()

    assert "no longer here" in problem(page), "this server has no such model"
    assert any("/explain?model=other" in address for address in asked)


def test_a_model_that_was_replaced_under_its_name_is_told_apart(page: Page) -> None:
    """By its digest, in what the page hears of the models."""
    hears(page, lambda models: [model | {"digest": "sha256:0"} for model in models])

    expect(page.locator("#outdated-text")).to_contain_text("line 1 was replaced")
    expect(page.locator("#bars button").first).to_be_disabled()


def test_evidence_of_a_model_that_was_just_replaced_is_not_shown(page: Page) -> None:
    """The reply says first that it is another's."""
    pressed = page.locator("#bars button[aria-pressed='true']").get_attribute("data-class")
    other = page.locator("#bars button[aria-pressed='false']").first

    def replaced(route: Route) -> None:
        reply = route.fetch()
        body = reply.json()
        body["model"]["digest"] = "sha256:0"
        route.fulfill(response=reply, json=body)

    def described(route: Route) -> None:
        reply = route.fetch()
        body = reply.json()
        body["models"][0]["digest"] = "sha256:0"
        route.fulfill(response=reply, json=body)

    page.route("**/explain?*", replaced)
    page.route("**/models", described)
    other.click()

    expect(page.locator("#outdated-text")).to_contain_text("line 1 was replaced")
    expect(bar(page, str(pressed))).to_have_attribute("aria-pressed", "true")


# --- no sense, no answer ------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["<h1>Please log in</h1>", "{}"])
def test_a_proxys_page_in_the_place_of_the_models_is_said_and_passes(page: Page, body: str) -> None:
    page.route("**/models", lambda route: route.fulfill(status=200, body=body))
    page.clock.fast_forward(POLL_MS)
    expect(page.locator("#state")).to_have_text("The server's answer makes no sense")

    page.unroute("**/models")
    page.clock.fast_forward(2000)

    expect(page.locator("#state")).to_have_text("ready")


def test_a_silent_server_is_not_called_ready(page: Page, silence: Callable[[str], None]) -> None:
    silence("**/models")
    with page.expect_request("**/models"):
        page.clock.fast_forward(POLL_MS)

    page.clock.fast_forward(6000)

    expect(page.locator("#state")).to_have_text("The server does not answer")


def test_what_takes_long_can_be_stopped(page: Page, silence: Callable[[str], None]) -> None:
    """Then the earlier answer is back, beside its own picture, and so is the keyboard's focus."""
    said = verdict(page)
    silence("**/explain?*")
    with page.expect_request("**/explain?*"):
        page.get_by_role("button", name="second.png").click()
    expect(page.locator("#busy")).to_contain_text("Working on second.png")
    assert page.locator("#stop").is_hidden()

    page.clock.fast_forward(4000)
    page.locator("#stop").click()

    expect(page.locator("#busy")).to_be_hidden()
    assert verdict(page) == said
    expect(page.locator("#plain")).to_have_attribute("alt", "The picture first.jpg, as the server read it")
    expect(page.get_by_role("button", name="first.jpg")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.activeElement.id") == "answer"


def test_colours_chosen_before_a_stop_are_drawn_after_it(page: Page, silence: Callable[[str], None]) -> None:
    """Else the list would name others than those on the stage."""
    silence("**/explain?*colormap=inferno*")
    with page.expect_request("**/explain?*"):
        page.get_by_role("button", name="second.png").click()
    page.locator("#colours").select_option("cividis")

    page.clock.fast_forward(4000)
    page.locator("#stop").click()

    expect(page.locator("#ramp")).to_have_attribute("data-colours", "cividis")
    expect(page.locator("#plain")).to_have_attribute("alt", "The picture first.jpg, as the server read it")


def test_a_picture_is_given_up_when_no_answer_can_come_any_more(
    page: Page, silence: Callable[[str], None]
) -> None:
    """After the longest deadline that the server grants."""
    silence("**/explain?*")
    with page.expect_request("**/explain?*"):
        page.get_by_role("button", name="second.png").click()

    page.clock.fast_forward(70_000)

    assert "The server cannot be reached" in problem(page)


# --- busy ---------------------------------------------------------------------------------------

BUSY = {"title": "busy", "status": 503, "detail": "128 of 128 entries", "code": "queue_full", "id": "01ABC"}


def refuse(route: Route, **headers: str) -> None:
    route.fulfill(status=503, json=BUSY, content_type="application/problem+json", headers=headers)


def test_a_busy_server_is_asked_once_more_when_it_said(page: Page) -> None:
    refused: list[Route] = []

    def once(route: Route) -> None:
        if refused:
            return route.continue_()
        refused.append(route)
        return refuse(route, **{"Retry-After": "7"})

    page.route("**/explain?*", once)
    page.get_by_role("button", name="third.jpg").click()
    expect(page.locator("#busy")).to_contain_text("Asking again in 7 s")

    page.clock.fast_forward(7000)

    expect(page.locator("#plain[alt*='third.jpg']")).to_be_visible()
    assert page.locator("#problem").is_hidden()


def test_the_answer_is_shown_though_the_plain_picture_is_refused(page: Page) -> None:
    """The overlay is a picture too; the one beneath it comes with the next try."""
    page.route("**/explain?*opacity=0&*", refuse)
    page.get_by_role("button", name="second.png").click()

    assert "The server is busy" in problem(page)
    expect(page.locator("#facts")).to_contain_text("PNG")
    expect(page.locator("#overlay")).to_be_visible()
    expect(page.locator("#overlay")).to_have_css("opacity", "1")
    assert page.locator("#plain").is_hidden()
    expect(page.locator("#strength")).to_be_disabled()

    page.unroute("**/explain?*opacity=0&*")
    page.locator("#retry").focus()
    page.keyboard.press("Enter")

    expect(page.locator("#plain[alt*='second.png']")).to_be_visible()
    expect(page.locator("#strength")).to_be_enabled()
    assert page.locator("#problem").is_hidden()
    assert page.evaluate("document.activeElement.id") == "answer", "the focus went with the button"
