"""The page speaks the reader's language, works by keyboard, and fits the screen."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser.steps import (
    GOLDEN,
    KOREAN,
    bar,
    choose_sample,
    percent,
    verdict,
    wait_for_answer,
)
from playwright.sync_api import Page, expect

from app.api.problems import STATUS_BY_CODE

STATIC = Path(__file__).resolve().parents[2] / "app" / "api" / "static"
Pages = Callable[..., Page]
PLACEHOLDER = re.compile(r"\{\w+\}")


@pytest.fixture
def words(page: Page) -> dict[str, dict[str, str]]:
    """The page's one table of texts."""
    table: dict[str, dict[str, str]] = page.evaluate(
        "import('/static/words.js').then(module => module.WORDS)"
    )
    return table


def test_every_text_is_there_in_every_language(words: dict[str, dict[str, str]]) -> None:
    for key, texts in words.items():
        assert set(texts) == {"en", "ko"}, key
        assert all(text.strip() for text in texts.values()), key
        assert sorted(PLACEHOLDER.findall(texts["en"])) == sorted(PLACEHOLDER.findall(texts["ko"])), key


def test_every_error_of_the_server_has_words(words: dict[str, dict[str, str]]) -> None:
    for code in STATUS_BY_CODE:
        assert f"error.{code}" in words
        assert f"error.{code}.hint" in words


def test_every_text_that_is_asked_for_exists_and_none_is_left_over(words: dict[str, dict[str, str]]) -> None:
    sources = "\n".join(
        path.read_text("utf-8") for path in STATIC.iterdir() if not path.name.startswith("words")
    )
    asked = set(re.findall(r'data-word="([\w.]+)"', sources)) | set(re.findall(r'say\("([\w.]+)"', sources))
    asked |= set(re.findall(r'"(\w+(?:\.\w+)+)"', sources))
    composed = tuple(re.findall(r"`(\w+)\.\$\{", sources))

    assert {key for key in asked if key.split(".")[0] in {k.split(".")[0] for k in words}} <= set(words)
    left_over = [
        key for key in words if key not in asked and not key.startswith(composed) and ".hint" not in key
    ]
    assert left_over == []


def test_korean_readers_see_korean_with_the_class_name_beside_it(
    open_page: Pages, answer_for: Callable[..., dict[str, Any]]
) -> None:
    expected = answer_for(GOLDEN["first.jpg"])

    page = open_page("ko-KR")
    choose_sample(page, "first.jpg")

    assert page.evaluate("document.documentElement.lang") == "ko"
    assert verdict(page) == KOREAN[expected["class"]]
    expect(page.locator("#verdict-name")).to_have_text(expected["class"])
    expect(page.locator("#verdict-probability")).to_have_text(percent(expected["probability"], "{}%"))
    expect(page.locator("#choose")).to_have_text("사진 고르기")


def test_the_language_is_changed_and_remembered(page: Page) -> None:
    choose_sample(page, "first.jpg")
    english = verdict(page)

    page.get_by_role("button", name="한국어").click()
    assert verdict(page) == KOREAN[english]

    page.reload()
    expect(page.locator("#choose")).to_have_text("사진 고르기")
    page.get_by_role("button", name="EN", exact=True).click()
    expect(page.locator("#choose")).to_have_text("Choose a picture")


def test_every_gap_in_the_words_is_filled(page: Page) -> None:
    """Also in what only screen readers say."""
    choose_sample(page, "first.jpg")

    for language in ("한국어", "EN"):
        page.get_by_role("button", name=language, exact=True).click()
        assert PLACEHOLDER.findall(page.locator("body").evaluate("body => body.outerHTML")) == []


def test_the_spoken_answer_follows_the_language_without_being_said_again(page: Page) -> None:
    choose_sample(page, "first.jpg")

    live = page.evaluate(
        "document.querySelector('[data-language=ko]').click(), document.querySelector('#spoken').ariaLive"
    )

    assert live == "off"
    expect(page.locator("#spoken")).to_contain_text("판정")
    expect(page.locator("#spoken")).to_have_attribute("aria-live", "polite")


def test_old_browsers_tell_screen_readers_as_much(page: Page) -> None:
    """Firefox before 119 has no properties for ARIA attributes."""
    page.add_init_script(
        "for (const name of ['ariaPressed', 'ariaBusy', 'ariaLabel', 'ariaHidden', 'ariaLive']) delete Element.prototype[name];"
    )
    page.reload()
    choose_sample(page, "first.jpg")

    for pressed in ("#languages", "#samples", "#bars", "#evidence"):
        assert page.locator(f"{pressed} [aria-pressed='true']").count() == 1, pressed
    expect(page.locator("#samples button").first).to_have_attribute("aria-label", "Sample first.jpg")
    assert page.locator("#bars kbd[aria-hidden='true']").count() == len(KOREAN)


def test_the_footers_links_leave_the_answer_where_it_is(page: Page) -> None:
    choose_sample(page, "first.jpg")

    for link in page.locator("footer a").all():
        with page.context.expect_page() as opened:
            link.click()
        opened.value.close()

    assert page.locator("#result").is_visible()


def test_a_language_without_words_falls_back_to_english(open_page: Pages) -> None:
    page = open_page("fi-FI")

    expect(page.locator("#choose")).to_have_text("Choose a picture")


def test_certainty_is_never_rounded_up_to_all(page: Page) -> None:
    shown = page.evaluate(
        "import('/static/format.js').then(({ percent }) => [1, 0.9996, 0.9994, 0.997, 0.5, 0.0006, 0.0001, 0].map(percent))"
    )

    assert shown == ["> 99.9 %", "> 99.9 %", "99.9 %", "99.7 %", "50.0 %", "0.1 %", "< 0.1 %", "< 0.1 %"]


def test_all_of_it_works_with_tab_and_enter(page: Page) -> None:
    """No pointer, no single keys: samples, classes, strength, language."""
    page.evaluate("document.querySelector('#keys-enabled').click()")

    tab_to(page, "document.activeElement.dataset.address?.endsWith('first.jpg')")
    page.keyboard.press("Enter")
    wait_for_answer(page, "first.jpg")
    tab_to(page, "document.activeElement.ariaPressed === 'false' && document.activeElement.matches('.bar')")
    chosen = page.evaluate("document.activeElement.dataset.class")
    page.keyboard.press("Space")
    expect(bar(page, chosen)).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.activeElement.dataset.class") == chosen, "focus was lost"
    tab_to(page, "document.activeElement.id === 'strength'", backwards=True)
    page.keyboard.press("End")
    expect(page.locator("#overlay")).to_have_css("opacity", "1")
    tab_to(page, "document.activeElement.dataset.language === 'ko'", backwards=True)
    page.keyboard.press("Enter")
    assert verdict(page) in KOREAN.values()


def test_the_focus_is_always_seen(page: Page) -> None:
    choose_sample(page, "first.jpg")

    for _ in range(18):
        page.keyboard.press("Tab")
        is_seen = page.evaluate(
            """() => {
                const seen = document.activeElement.id === "file" ? document.querySelector("#choose") : document.activeElement;
                return seen === document.body || getComputedStyle(seen).outlineStyle === "solid";
            }"""
        )
        assert is_seen, page.evaluate("document.activeElement.outerHTML")


def test_arrows_of_the_number_pad_are_no_digits(page: Page) -> None:
    """With its lock off they scroll."""
    press = "([key, code]) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, code, bubbles: true, cancelable: true }))"
    choose_sample(page, "first.jpg")
    second = page.locator("#bars button").nth(1)
    page.keyboard.press("1")
    expect(page.locator("#bars button").first).to_have_attribute("aria-pressed", "true")

    assert page.evaluate(press, ["ArrowDown", "Numpad2"]), "the scrolling was swallowed"
    expect(second).to_have_attribute("aria-busy", "false")
    expect(second).to_have_attribute("aria-pressed", "false")
    assert not page.evaluate(press, ["2", "Numpad2"])
    expect(second).to_have_attribute("aria-pressed", "true")


def test_single_keys_work_and_can_be_turned_off(page: Page) -> None:
    # Early: Playwright asks the browser for choosers when somebody listens, and waits for no reply (playwright-python #5).
    page.on("filechooser", lambda _: None)
    page.keyboard.press("n")
    wait_for_answer(page, "first.jpg")
    page.keyboard.press("n")
    wait_for_answer(page, "second.png")
    page.keyboard.press("p")
    wait_for_answer(page, "first.jpg")
    page.keyboard.press("2")
    expect(page.locator("#bars button").nth(1)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("e")
    expect(page.locator("#overlay")).to_have_css("opacity", "0")
    page.keyboard.press("e")
    page.keyboard.press("-")
    expect(page.locator("#strength-number")).to_have_text("50 %")
    with page.expect_file_chooser():
        page.keyboard.press("o")

    page.keyboard.press("?")
    page.locator("#keys-enabled").click()
    page.keyboard.press("Escape")
    page.keyboard.press("e")

    assert page.locator("#help").is_hidden()
    expect(page.locator("#strength-number")).to_have_text("50 %")


@pytest.mark.parametrize("locale", ["en-GB", "ko-KR"])
@pytest.mark.parametrize("width", [360, 390, 768, 965, 1000, 1200, 1280])
def test_nothing_is_wider_than_the_screen_or_smaller_than_a_glove(
    open_page: Pages, locale: str, width: int
) -> None:
    page = open_page(locale, viewport={"width": width, "height": 844})
    choose_sample(page, "first.jpg")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    evidence = page.locator("#evidence")
    assert evidence.evaluate("card => card.scrollWidth <= card.clientWidth")
    pressed = page.locator("button:visible, select:enabled:visible, label.button:visible, #strength")
    for box in (target.bounding_box() for target in pressed.all()):
        assert box is not None
        assert min(box["width"], box["height"]) >= 44, box


def tab_to(page: Page, condition: str, *, backwards: bool = False) -> None:
    for _ in range(40):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if page.evaluate(condition):
            return
    raise AssertionError(f"no Tab leads to {condition}")
