"""What goes wrong is said in plain words, and the page still works."""

from collections.abc import Callable
from pathlib import Path

import pytest
from browser.steps import Watch, choose_file, choose_sample, drop, problem
from playwright.sync_api import Browser, Page, Route, expect
from support.pictures import damaged_file, picture_file
from support.server import server_process


@pytest.fixture(autouse=True)
def _failures_are_wanted(watch: Watch) -> None:
    watch.may_fail = True


def test_a_damaged_file_is_said_and_the_page_still_works(page: Page) -> None:
    """The old answer is gone: it does not belong to this file."""
    choose_sample(page, "first.jpg")

    choose_file(page, "damaged.jpg", damaged_file())

    text = problem(page)
    assert "The picture cannot be read" in text
    assert "damaged.jpg" in text
    assert "Request " in text
    assert page.locator("#result").is_hidden()
    assert page.locator("#plain").is_hidden()
    choose_sample(page, "second.png")
    assert page.locator("#problem").is_hidden()


def test_the_message_follows_the_language(page: Page) -> None:
    choose_file(page, "notes.txt", b"these are only words")
    problem(page)

    page.get_by_role("button", name="한국어").click()

    assert "사진" in problem(page) or "형식" in problem(page)


def test_an_empty_file_is_not_even_sent(page: Page) -> None:
    choose_file(page, "empty.jpg", b"")

    assert "The file is empty" in problem(page)


def test_a_file_over_the_limit_is_refused_by_name(page: Page) -> None:
    choose_file(page, "huge.bmp", picture_file(1, "BMP", width=900, height=900))

    text = problem(page)
    assert "The file is too big" in text
    assert "huge.bmp" in text


def test_what_is_not_a_file_is_said_and_the_answer_stays(page: Page) -> None:
    choose_sample(page, "first.jpg")

    drop(page, text="https://example.org/picture.jpg")

    text = problem(page)
    assert "That was not a file" in text
    assert "first.jpg" not in text
    assert page.locator("#result").is_visible()
    assert page.locator("#plain").is_visible()


@pytest.mark.parametrize("pressed", ["#stage", "#samples button >> nth=2"])
def test_a_press_that_slips_changes_nothing(page: Page, pressed: str) -> None:
    """A hand in a glove moves while it presses on the picture or on a sample."""
    choose_sample(page, "first.jpg")
    dropped = "new Promise(done => { for (const kind of ['drop', 'mouseup', 'dragend']) addEventListener(kind, done); })"
    page.evaluate(f"window.released = {dropped}; 0")
    box = page.locator(pressed).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 55, box["y"] + 20, steps=5)
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    page.mouse.move(stage["x"] + 90, stage["y"] + 60, steps=5)
    page.mouse.up()
    page.evaluate("window.released.then(() => 0)")

    assert page.locator("#problem").is_hidden()
    assert page.locator("#result").is_visible()
    expect(page.locator("#plain")).to_have_attribute("alt", "The picture first.jpg, as the server read it")


def test_files_are_taken_after_a_drag_whose_source_was_drawn_anew(page: Page) -> None:
    """Text that is replaced while it is dragged, as by the next look at the models, never tells that the drag is over."""
    choose_sample(page, "first.jpg")
    page.evaluate("addEventListener('dragstart', () => import('/static/draw.js').then(({ draw }) => draw()))")
    page.locator("#facts dd").first.evaluate("text => getSelection().selectAllChildren(text)")
    page.locator("#facts dd").first.scroll_into_view_if_needed()
    box = page.locator("#facts dd").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 10, box["y"] + 8)
    page.mouse.down()
    with page.expect_event("console", lambda message: message.text == "begun"):
        page.evaluate("addEventListener('dragstart', () => console.log('begun'))")
        page.mouse.move(box["x"] + 40, box["y"] + 12, steps=4)
    page.mouse.up()
    page.mouse.move(10, 10)

    drop(page, ("dropped.jpg", picture_file(6)))

    expect(page.locator("#plain")).to_have_attribute("alt", "The picture dropped.jpg, as the server read it")


def test_a_file_that_cannot_be_opened_is_no_lost_network(page: Page) -> None:
    gone = "Promise.reject(new DOMException('gone', 'NotFoundError'))"
    page.evaluate(f"() => {{ File.prototype.arrayBuffer = () => {gone} }}")

    choose_file(page, "moved.jpg", picture_file(1))

    text = problem(page)
    assert "The file cannot be opened" in text
    assert "moved.jpg" in text


def test_a_lost_network_is_said_and_the_same_picture_tried_again(page: Page) -> None:
    page.context.set_offline(True)
    page.get_by_role("button", name="first.jpg").click()
    assert "The server cannot be reached" in problem(page)

    page.context.set_offline(False)
    page.locator("#retry").click()

    page.locator("#result").wait_for()
    assert page.locator("#problem").is_hidden()


@pytest.mark.parametrize("code", ["queue_full", "deadline_exceeded"])
def test_a_busy_server_is_said_and_can_be_tried_again(page: Page, code: str) -> None:
    refusal = {"title": "busy", "status": 503, "detail": "128 of 128 entries", "code": code, "id": "01ABC"}
    page.route(
        "**/explain?*",
        lambda route: route.fulfill(status=503, json=refusal, content_type="application/problem+json"),
    )
    page.get_by_role("button", name="first.jpg").click()
    text = problem(page)
    assert "128 of 128 entries" in text
    assert "01ABC" in text

    page.unroute("**/explain?*")
    page.locator("#retry").click()

    page.locator("#result").wait_for()


def test_an_answer_that_makes_no_sense_is_said(page: Page) -> None:
    """A proxy's error page, for one."""
    page.route("**/explain?*", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))

    page.get_by_role("button", name="first.jpg").click()

    text = problem(page)
    assert "The server's answer makes no sense" in text
    assert "HTTP 502" in text


def test_a_class_that_cannot_be_shown_leaves_the_answer_standing(page: Page) -> None:
    choose_sample(page, "first.jpg")
    page.route("**/explain?*target=*", lambda route: route.abort())

    page.locator("#bars button[aria-pressed='false']").first.click()

    assert "The server cannot be reached" in problem(page)
    assert page.locator("#result").is_visible()


def test_a_loading_model_is_said_and_the_page_goes_on_by_itself(open_page: Callable[..., Page]) -> None:
    page = open_page(wait=False)
    loading = {
        "models": [{"name": "line", "version": 1, "state": "loading", "reason": "it is still loading"}]
    }

    def still_loading(route: Route) -> None:
        route.fulfill(json={**loading, "notes": []})

    page.route("**/models", still_loading)
    page.reload()
    expect(page.locator("#waiting-title")).to_have_text("The model is loading")
    expect(page.locator("#file")).to_be_disabled()

    page.unroute("**/models")

    page.locator("#samples button").first.wait_for()
    expect(page.locator("#file")).to_be_enabled()


def test_a_refused_model_is_said_with_its_reason(browser: Browser, tmp_path: Path) -> None:
    bundle = tmp_path / "models" / "broken" / "1"
    bundle.mkdir(parents=True)
    (bundle / "model.toml").write_text('architecture = "no-such-network"\n', encoding="utf-8")
    with server_process(tmp_path / "models", tmp_path / "log") as served:
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        page.goto(served.url)

        expect(page.locator("#waiting-title")).to_have_text("No model can answer")
        expect(page.locator("#others-list")).to_contain_text("broken 1: refused")
        expect(page.locator("#others-list")).to_contain_text("it was refused: ")
        context.close()
