"""The page on small screens, with long names and in contrast themes; and its colours beside the server's."""

import io
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from browser.steps import KOREAN, choose_sample, served_as
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from app.images.colormaps import Colormap
from app.images.heat import Scale
from app.images.paint import shading_of

Pages = Callable[..., Page]
Pixels = NDArray[np.float64]

LONG = {
    "en": {name: f"hind-leg-bruise-with-haemorrhage-and-fracture-{name}" for name in KOREAN},
    "ko": {
        name: f"뒷다리 타박상 출혈 및 골절을 동반한 심각한 손상 {label}" for name, label in KOREAN.items()
    },
}
GREY = 118
"""What the server's own legend has under its colours."""


def box_of(locator: Locator) -> dict[str, float]:
    box = locator.bounding_box()
    assert box is not None
    return dict(box)


def pixels(locator: Locator) -> Pixels:
    """(height, width, 3), as they are on the screen."""
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"), dtype=np.float64)


def contrast(one: Pixels, other: Pixels) -> float:
    """WCAG 2.2, of two colours."""

    def luminance(color: Pixels) -> float:
        share = color / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


# --- long names --------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en-GB", "ko-KR"])
def test_long_names_are_whole_and_hide_nothing(open_page: Pages, locale: str) -> None:
    """Cut to what they have in common, thirty grades of one fault would be one; on the picture they would cover it."""
    page = open_page(locale)
    served_as(page, display=LONG)
    choose_sample(page, "first.jpg")

    for width, height in ((320, 256), (360, 640), (820, 1180), (1280, 800)):
        page.set_viewport_size({"width": width, "height": height})

        assert page.evaluate("document.documentElement.scrollWidth") <= width
        cut = page.locator("#bars .name, #chip").evaluate_all(
            "all => all.filter(it => it.scrollWidth > it.clientWidth || it.scrollHeight > it.clientHeight + 1).length"
        )
        assert cut == 0, width
        picture, chip = box_of(page.locator("#plain")), page.locator("#chip")
        assert width > 1000 or box_of(chip)["y"] >= picture["y"] + picture["height"]
        lines = page.locator("#bars .name").evaluate_all(
            "names => names.map(it => it.getBoundingClientRect().height / parseFloat(getComputedStyle(it).lineHeight))"
        )
        assert max(lines) < 6.5, width  # the label and the class name
        tracks = page.locator("#bars .track").evaluate_all("all => all.map(it => it.clientWidth)")
        assert len(set(tracks)) == 1, "bars that do not compare"


@pytest.mark.parametrize("locale", ["en-GB", "ko-KR"])
def test_no_name_of_colours_is_cut(open_page: Pages, locale: str) -> None:
    page = open_page(locale)
    choose_sample(page, "first.jpg")

    for width in (320, 360, 1000, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        had, needed = page.locator("#colours").evaluate(
            """it => {
                const had = it.offsetWidth;
                it.style.width = "max-content";
                const needed = it.offsetWidth;
                it.style.width = "";
                return [had, needed];
            }"""
        )

        assert had >= needed, width
        assert page.locator("#marks-toggle").evaluate("it => it.scrollWidth <= it.clientWidth"), width


# --- paper -------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["en-GB", "ko-KR"])
def test_an_answer_prints_on_one_sheet(open_page: Pages, locale: str) -> None:
    """Picture, map, answer, check, model and time; nothing that can only be pressed."""
    page = open_page(locale)
    choose_sample(page, "first.jpg")
    page.keyboard.press("k")
    page.locator("#cover").wait_for()

    assert page.pdf(format="A4", prefer_css_page_size=True).count(b"/Type /Page\n") == 1
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 1032})  # A4 less its margins
    for shown in ("#notice", "#overlay", "#caption", ".legend", "#subject", "#bars", "#cover", "#facts"):
        expect(page.locator(shown)).to_be_visible()
    for hidden in ("header", ".tray", "#strength", "#colours", "#ask-check", "#copy", "#times"):
        expect(page.locator(hidden)).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 703


def test_an_open_sheet_prints_instead_of_the_page(page: Page) -> None:
    choose_sample(page, "first.jpg")
    page.keyboard.press("a")
    page.locator("#sheet").wait_for()

    page.emulate_media(media="print")

    expect(page.locator("main")).to_be_hidden()
    expect(page.locator("#sheet-subject")).to_be_visible()
    expect(page.locator("#sheet .button")).to_be_hidden()
    assert box_of(page.locator("#sheet"))["y"] == 0


# --- small screens -----------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 820])
def test_the_help_is_reached_on_a_narrow_screen(open_page: Pages, width: int) -> None:
    """Zoomed to 400 % a screen is 320 wide: who needs the zoom may need to turn single keys off."""
    page = open_page(viewport={"width": width, "height": 256})

    page.get_by_role("button", name="Help").click()

    expect(page.locator("#keys-enabled")).to_be_visible()
    assert page.locator("#help").evaluate("it => it.scrollTop") == 0  # it begins with how to read an answer


def test_a_sheet_opens_at_its_title(page: Page) -> None:
    """Where the focus is too, so that it is read from there; Close needs no scrolling where there is room for it."""
    choose_sample(page, "first.jpg")

    for width, height in ((1280, 420), (820, 1180), (360, 420), (320, 256)):
        page.set_viewport_size({"width": width, "height": height})
        page.locator("#ask-classes").click()
        page.locator("#sheet").wait_for()
        page.locator("#sheet-picture").evaluate("it => it.decode()")

        assert page.evaluate("document.activeElement.id") == "sheet-title"
        assert page.locator("#sheet").evaluate("it => it.scrollTop") == 0
        assert box_of(page.locator("#sheet-title"))["y"] >= 0
        if width >= 820:
            close = box_of(page.locator("#sheet .button"))
            assert close["y"] + close["height"] <= height
            assert page.locator(".sheet-frame").evaluate("it => it.scrollWidth <= it.clientWidth"), width
        page.keyboard.press("Escape")
        page.locator("#sheet").wait_for(state="hidden")


# --- colours -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [100, 60])
def test_the_legend_has_the_colours_of_the_map(page: Page, strength: int) -> None:
    """As transparent as on the picture; against the server's own table, to a step of 14 in 255."""
    choose_sample(page, "first.jpg")
    page.locator("#strength").fill(str(strength))

    for colours in (*get_args(Colormap), "signed"):
        page.locator("#colours").select_option(colours)
        expect(page.locator("#ramp")).to_have_attribute("data-colours", colours)

        row = pixels(page.locator("#ramp"))[8, 2:-2]
        is_signed = colours == "signed"
        scale = Scale(-1.0 if is_signed else 0.0, 1.0, is_signed=is_signed)
        table = shading_of(scale, "jet" if is_signed else colours, opacity=strength / 100).table.astype(float)
        cover = table[:, 3:] / 255
        expected = (table[:, :3] * cover + GREY * (1 - cover))[np.linspace(2, 253, len(row)).astype(int)]
        assert np.abs(row - expected).max() <= 14, colours


def test_a_contrast_theme_takes_nothing_away(open_page: Pages) -> None:
    """Bars, slider, legend, times and whatever is pressed are still seen: 3 to 1, as WCAG 1.4.11 wants it."""
    page = open_page(forced_colors="active", color_scheme="dark")
    choose_sample(page, "first.jpg")
    page.locator("#bars button[aria-pressed='true']").hover()  # so that no transition is under way elsewhere

    for track in page.locator("#bars .track").all():
        drawn = pixels(track)[5]
        share = float(track.locator(".fill").evaluate("it => it.style.width").rstrip("%")) / 100
        full, empty = drawn[round(len(drawn) * share / 2)], drawn[round(len(drawn) * (1 + share) / 2)]
        assert contrast(full, empty) >= 3
        assert contrast(pixels(track)[0, len(drawn) // 2], empty if share < 0.5 else full) >= 1
    slider = pixels(page.locator("#strength"))
    line = slider[len(slider) // 2]
    assert contrast(line[8], line[-8]) >= 3
    assert len(np.unique(pixels(page.locator("#ramp"))[8], axis=0)) > 20
    parts = page.locator("#timeline span").evaluate_all(
        "all => all.map(it => getComputedStyle(it).backgroundColor)"
    )
    assert len(set(parts)) == len(parts) == 6
    assert contrast(*pixels(page.locator("#state"))[(13, 13), (6, 17)]) >= 3


def test_what_is_pressed_is_told_apart_in_a_contrast_theme(open_page: Pages) -> None:
    page = open_page(forced_colors="active")
    choose_sample(page, "first.jpg")

    for pressed, other in (
        ("[data-language='en']", "[data-language='ko']"),
        ("#marks-toggle", "#ask-check"),
        ("#bars [aria-pressed='true']", "#bars [aria-pressed='false']"),
        ("#samples [aria-pressed='true'] span", "#samples [aria-pressed='false'] span"),
    ):
        looks: list[Any] = [
            page.locator(selector).first.evaluate(
                "it => [getComputedStyle(it).backgroundColor, getComputedStyle(it).borderTopWidth]"
            )
            for selector in (pressed, other)
        ]
        assert looks[0] != looks[1], pressed
