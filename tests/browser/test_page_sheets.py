"""Maps side by side, and what a model that can show less is asked."""

from collections.abc import Callable
from typing import Any

import pytest
from browser.steps import GOLDEN, choose_file, choose_sample, served_as, size_of, verdict, wait_for_answer
from playwright.sync_api import Page, Route, expect
from support.pictures import picture_file

Answers = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("key", "parameter", "title"), [("d", "layers", "By depth"), ("a", "classes", "each class")]
)
def test_a_sheet_opens_above_the_page_and_closes(
    page: Page, answer_for: Answers, key: str, parameter: str, title: str
) -> None:
    cam = answer_for(GOLDEN["first.jpg"], **{parameter: "all"})["cam"]
    choose_sample(page, "first.jpg")

    page.keyboard.press(key)

    expect(page.locator("#sheet")).to_be_visible()
    expect(page.locator("#sheet-title")).to_contain_text(title)
    assert size_of(page.locator("#sheet-picture")) == [cam["width"], cam["height"]]
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_hidden()
    expect(page.locator("#plain")).to_have_attribute("alt", "The picture first.jpg, as the server read it")
    page.locator(f"#ask-{parameter}").click()
    expect(page.locator("#sheet")).to_be_visible()


def test_a_sheet_names_its_picture_and_says_what_its_colours_mean(page: Page) -> None:
    """Of blue and orange, equally bright is not equally strong."""
    choose_sample(page, "first.jpg")
    page.keyboard.press("a")
    expect(page.locator("#sheet-subject")).to_have_text("first.jpg, line 1")
    expect(page.locator("#sheet-hint")).to_contain_text("equally bright")
    page.keyboard.press("Escape")

    page.locator("#colours").select_option("signed")
    page.locator("body:not(.working) #ramp[data-colours='signed']").wait_for()
    page.keyboard.press("a")

    expect(page.locator("#sheet")).to_be_visible()
    expect(page.locator("#sheet-hint")).to_contain_text("blue = against it")


def test_a_model_of_one_layer_has_no_depth_to_show(page: Page) -> None:
    served_as(page, layers=["layer3"])
    choose_sample(page, "first.jpg")

    expect(page.locator("#ask-classes")).to_be_visible()
    expect(page.locator("#ask-layers")).to_be_hidden()
    page.keyboard.press("d")
    assert page.locator("#sheet").is_hidden()


def test_a_model_without_evidence_still_answers(page: Page, answer_for: Answers) -> None:
    """Nothing is asked of it that it would refuse."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    served_as(page, evidence="none", methods=[], layers=[])

    choose_sample(page, "first.jpg")

    assert verdict(page) == answer_for(GOLDEN["first.jpg"])["class"]
    expect(page.locator("#caption")).to_contain_text("This network cannot show where its answer came from.")
    expect(page.locator("#closer")).to_be_hidden()
    expect(page.locator("#curl")).to_contain_text("/predict?")
    assert size_of(page.locator("#plain")) == [320, 240]
    assert not any("/explain" in address for address in asked)


def test_a_file_that_no_browser_shows_is_said_where_the_server_draws_none(page: Page) -> None:
    """No broken picture stands in its place."""
    served_as(page, evidence="none", methods=[], layers=[])

    choose_file(page, "camera.tif", picture_file(5, "TIFF"))

    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#caption")).to_contain_text("This browser cannot show this kind of file")
    assert page.locator("#plain").is_hidden()


def test_a_class_is_not_asked_for_while_a_picture_is_under_way(page: Page) -> None:
    """The classes on the page are still the earlier picture's."""
    choose_sample(page, "first.jpg")
    held: list[Route] = []
    page.route("**/explain?*", lambda route: held.append(route) if not held else route.continue_())
    page.get_by_role("button", name="second.png").click()
    page.wait_for_selector("body.working")

    page.locator("#bars button[aria-pressed='false']").first.click()
    page.keyboard.press("k")
    for route in held:
        route.continue_()

    wait_for_answer(page, "second.png")
    expect(page.locator("#facts")).to_contain_text("PNG")
    assert page.locator("#problem").is_hidden()
