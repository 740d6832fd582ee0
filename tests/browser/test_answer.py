"""A picture goes in; the class and its evidence come out."""

import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from browser.steps import (
    GOLDEN,
    KOREAN,
    Watch,
    bar,
    choose_file,
    choose_sample,
    drop,
    hold,
    overlay_opacity,
    percent,
    size_of,
    verdict,
    wait_for_answer,
)
from PIL import Image
from playwright.sync_api import Page, Route, expect
from support.pictures import picture_file

Answers = Callable[..., dict[str, Any]]


def test_a_sample_shows_class_bars_overlay_and_times(page: Page, answer_for: Answers) -> None:
    """And every number is the server's own."""
    expected = answer_for(GOLDEN["first.jpg"])

    choose_sample(page, "first.jpg")

    assert verdict(page) == expected["class"]
    expect(page.locator("#verdict-probability")).to_have_text(percent(expected["probability"]))
    for score in expected["top_k"]:
        expect(bar(page, score["class"]).locator(".number")).to_have_text(percent(score["probability"]))
    assert size_of(page.locator("#overlay")) == [320, 240]
    assert size_of(page.locator("#plain")) == [320, 240]
    assert page.locator("#overlay").is_visible()
    assert page.locator("#times div").count() == 6
    expect(page.locator("#time-total")).to_contain_text("ms in total")
    expect(page.locator("#notice")).to_contain_text("random weights, not for use on meat")
    expect(page.locator("#facts")).to_contain_text("line 1")
    expect(page.locator("#spoken")).to_contain_text(expected["class"])


def test_bars_stay_in_the_order_of_the_manifest(page: Page) -> None:
    """So that a class is always under the same key, whatever the picture."""
    for name in GOLDEN:
        choose_sample(page, name)
        classes = page.locator("#bars button").evaluate_all("bars => bars.map(bar => bar.dataset.class)")
        assert classes == list(KOREAN)


def test_the_slider_changes_the_opacity_of_the_overlay(page: Page) -> None:
    choose_sample(page, "first.jpg")
    assert overlay_opacity(page) == pytest.approx(0.6)

    page.locator("#strength").focus()
    page.keyboard.press("End")
    expect(page.locator("#strength-number")).to_have_text("100 %")
    expect(page.locator("#overlay")).to_have_css("opacity", "1")
    page.keyboard.press("Home")
    expect(page.locator("#overlay")).to_have_css("opacity", "0")


def test_the_overlay_at_full_strength_blends_to_every_other(server: str, answer_for: Answers) -> None:
    """What the page's slider relies on: the server mixes picture and colours linearly."""

    def drawn(opacity: float) -> Any:
        reply = httpx.post(
            f"{server}/explain",
            params={"opacity": opacity},
            content=GOLDEN["first.jpg"],
            headers={"Accept": "image/png"},
        )
        return np.asarray(Image.open(io.BytesIO(reply.raise_for_status().content)), dtype=np.float64)

    left, top, right, bottom = answer_for(GOLDEN["first.jpg"])["explanation"]["geometry"]["field_of_view"]
    within_frame = np.s_[int(top) + 5 : int(bottom) - 5, int(left) + 5 : int(right) - 5]

    blended = 0.4 * drawn(0) + 0.6 * drawn(1)

    assert np.abs(blended - drawn(0.6))[within_frame].max() <= 2


def test_another_class_shows_its_own_map(page: Page, answer_for: Answers) -> None:
    """The verdict stays; only the evidence is another's."""
    expected = answer_for(GOLDEN["first.jpg"])
    other = expected["top_k"][1]["class"]
    choose_sample(page, "first.jpg")
    first_map = page.locator("#overlay").get_attribute("src")

    bar(page, other).click()

    expect(bar(page, other)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#caption")).to_contain_text(other)
    assert page.locator("#overlay").get_attribute("src") != first_map
    assert verdict(page) == expected["class"]


def test_other_colours_are_drawn_anew(page: Page) -> None:
    choose_sample(page, "first.jpg")
    first_map = page.locator("#overlay").get_attribute("src")

    page.locator("#colours").select_option("cividis")

    expect(page.locator("#overlay")).not_to_have_attribute("src", first_map or "")
    expect(page.locator("#ramp")).to_have_attribute("data-colours", "cividis")


@pytest.mark.parametrize("fails", [False, True])
def test_legend_and_command_are_those_of_the_colours_on_the_stage(
    page: Page, watch: Watch, fails: bool
) -> None:
    """While others are on their way, and where they cannot be had."""
    watch.may_fail = fails
    choose_sample(page, "first.jpg")
    held = hold(page, "**/explain?*normalization=signed*")

    with page.expect_request("**/explain?*normalization=signed*"):
        page.locator("#colours").select_option("signed")

    expect(page.locator("#ramp")).to_have_attribute("data-colours", "inferno")
    expect(page.locator("#caption")).to_contain_text("Bright = evidence")
    expect(page.locator("#curl")).to_contain_text("colormap=inferno")
    if fails:
        held[0].abort()
        page.locator("#problem").wait_for()
    else:
        held[0].continue_()
    expect(page.locator("#ramp")).to_have_attribute("data-colours", "inferno" if fails else "signed")
    expect(page.locator("#caption")).to_contain_text("Bright =" if fails else "Orange =")


def test_colours_chosen_while_a_picture_is_under_way_are_drawn(page: Page) -> None:
    choose_sample(page, "first.jpg")
    held = hold(page, "**/explain?*colormap=inferno*")
    with page.expect_request("**/explain?*colormap=inferno*"):
        page.get_by_role("button", name="third.jpg").click()

    page.locator("#colours").select_option("signed")
    with page.expect_request("**/explain?*normalization=signed*"):
        held[0].continue_()

    expect(page.locator("#caption")).to_contain_text("Orange =")
    expect(page.locator("#ramp")).to_have_attribute("data-colours", "signed")


def test_a_bare_jpeg_is_sent_once_and_any_other_picture_as_the_server_read_it(page: Page) -> None:
    """A browser would turn this one by its EXIF tag, which the model's manifest says to ignore."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/explain?" in request.url else None)

    choose_file(page, "bare.jpg", picture_file(5, width=300, height=200))
    wait_for_answer(page, "bare.jpg")
    assert len(asked) == 1
    exif = Image.Exif()
    exif[0x0112] = 6
    choose_file(page, "turned.jpg", picture_file(6, width=320, height=180, exif=exif.tobytes()))
    wait_for_answer(page, "turned.jpg")

    assert len(asked) == 3
    assert size_of(page.locator("#plain")) == [320, 180]


def test_the_score_is_the_sum_that_is_written(page: Page) -> None:
    """Each number rounded by itself, this would read -0.57 = -0.12 + -0.44."""

    def rounded(route: Route) -> None:
        reply = route.fetch()
        body = reply.json()
        body["explanation"]["target"]["logit"] = -0.566
        body["explanation"]["grid"] |= {"bias": -0.124, "values": [[-0.442]], "shape": [1, 1]}
        route.fulfill(response=reply, json=body)

    page.route("**/explain?*top_k=*", rounded)  # not the plain picture
    choose_sample(page, "first.jpg")

    written = "-0.57 = bias -0.12 + mean evidence -0.45".replace("-", "\N{MINUS SIGN}")
    expect(page.locator("#facts")).to_contain_text(written)


def test_a_tenth_bar_has_no_key(page: Page) -> None:
    """Nine keys are all there are."""

    def ten(route: Route) -> None:
        reply = route.fetch()
        body = reply.json()
        body["top_k"] += [
            {"class": f"more-{at}", "class_index": at, "probability": 0.0, "logit": -9.0}
            for at in range(3, 10)
        ]
        route.fulfill(response=reply, json=body)

    page.route("**/explain?*top_k=*", ten)  # not the plain picture
    choose_sample(page, "first.jpg")

    expect(page.locator("#bars kbd").nth(8)).to_have_text("9")
    expect(page.locator("#bars kbd").nth(8)).to_be_visible()
    expect(page.locator("#bars kbd").nth(9)).to_be_hidden()


def test_a_tiff_is_seen_though_browsers_show_none(page: Page) -> None:
    choose_file(page, "camera.tif", picture_file(5, "TIFF", width=300, height=200))
    wait_for_answer(page, "camera.tif")

    assert size_of(page.locator("#plain")) == [300, 200]
    expect(page.locator("#facts")).to_contain_text("300 \N{MULTIPLICATION SIGN} 200, TIFF")


def test_a_dropped_file_is_classified(page: Page, answer_for: Answers) -> None:
    data = picture_file(6)

    drop(page, ("dropped.jpg", data))
    wait_for_answer(page, "dropped.jpg")

    assert verdict(page) == answer_for(data)["class"]


def test_a_file_that_the_camera_writes_over_is_asked_about_as_it_was(
    page: Page, tmp_path: Path, answer_for: Answers
) -> None:
    """A browser reads nothing more of a file that changed after it was chosen, and says that the network failed."""
    latest, data = tmp_path / "latest.jpg", picture_file(6)
    latest.write_bytes(data)
    page.set_input_files("#file", latest)
    wait_for_answer(page, "latest.jpg")

    latest.write_bytes(picture_file(7))
    os.utime(latest, (0, 0))
    other = answer_for(data)["top_k"][1]["class"]
    bar(page, other).click()

    expected = answer_for(data, target=other)["explanation"]["sentence"]["en"]
    expect(page.locator("#sentence")).to_have_text(expected)
    assert page.locator("#problem").is_hidden()


def test_several_files_are_looked_at_one_after_another(page: Page, watch: Watch) -> None:
    """Also past one that is no picture; a sample puts them away."""
    watch.may_fail = True
    drop(page, ("one.jpg", picture_file(6)), ("notes.txt", b"words"), ("two.jpg", picture_file(7)))
    wait_for_answer(page, "one.jpg")
    place, following = page.locator("#pile-place"), page.locator("#pile-next")
    expect(place).to_have_text("1 of 3: one.jpg")

    following.click()
    expect(page.locator("#problem-name")).to_have_text("notes.txt")
    following.click()
    wait_for_answer(page, "two.jpg")
    page.keyboard.press("n")

    expect(place).to_have_text("3 of 3: two.jpg")
    expect(following).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("p")
    expect(place).to_have_text("2 of 3: notes.txt")
    choose_sample(page, "first.jpg")
    expect(page.locator("#pile")).to_be_hidden()
    page.keyboard.press("n")
    wait_for_answer(page, "second.png")


def test_the_answer_names_its_picture_and_when_it_was_given(page: Page) -> None:
    """Twenty pictures later nobody knows otherwise which this was."""
    choose_file(page, "carcass-0815.tif", picture_file(5, "TIFF"))
    wait_for_answer(page, "carcass-0815.tif")

    expect(page.locator("#subject")).to_have_text("carcass-0815.tif")
    expect(page.locator("#facts dd").last).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+$"))


def test_a_person_may_wait_longer_than_the_line(page: Page) -> None:
    """Every question brings a deadline of its own; the command beside it leaves that to the reader."""
    with page.expect_request("**/explain?*") as asked:
        choose_sample(page, "first.jpg")
    with page.expect_request("**/explain?*check=cover*") as checked:
        page.keyboard.press("k")

    assert "deadline_ms=30000" in asked.value.url
    assert "deadline_ms=30000" in checked.value.url
    expect(page.locator("#curl")).not_to_contain_text("deadline_ms")


def test_the_caption_says_what_the_network_did_not_see(page: Page) -> None:
    choose_sample(page, "first.jpg")

    expect(page.locator("#caption")).to_contain_text("The frame is what the network saw.")


def test_where_nothing_speaks_for_a_class_words_say_so(page: Page) -> None:
    """A blank heat map would look like a fault."""

    def without_evidence(route: Route) -> None:
        reply = route.fetch()
        if "json" not in reply.headers["content-type"]:
            route.fulfill(response=reply)
            return
        body = reply.json()
        body["explanation"]["grid"]["status"] = "no_positive_evidence"
        route.fulfill(response=reply, json=body)

    page.route("**/explain?*", without_evidence)
    choose_sample(page, "first.jpg")

    expect(page.locator("#caption")).to_contain_text("Nothing in the picture speaks for")
    expect(page.locator("#strength")).to_be_disabled()
    assert page.locator("#plain").is_visible()


def test_a_late_answer_never_covers_a_newer_one(page: Page) -> None:
    held: list[Route] = []
    page.route("**/explain?*", lambda route: held.append(route) if not held else route.continue_())
    page.get_by_role("button", name="first.jpg").click()
    page.wait_for_function("document.body.classList.contains('working')")

    choose_sample(page, "second.png")
    for route in held:
        route.abort()

    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(page.locator("#facts")).to_contain_text("PNG")
    assert page.locator("#problem").is_hidden()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_the_curl_command_gives_the_same_answer(page: Page, tmp_path: Path, answer_for: Answers) -> None:
    """Also for a file whose name a shell would trip over."""
    choose_sample(page, "second.png")
    sample_command = page.locator("#curl").inner_text()
    data = picture_file(8)
    awkward = "it's a $(picture) & more.jpg"
    (tmp_path / awkward).write_bytes(data)
    drop(page, (awkward, data))
    expect(page.locator("#curl")).to_contain_text("picture")
    file_command = page.locator("#curl").inner_text()

    for command, picture in ((sample_command, GOLDEN["second.png"]), (file_command, data)):
        ran = subprocess.run(
            ["bash", "-ec", command], check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert f'"class":"{answer_for(picture)["class"]}"' in ran.stdout, ran.stderr


def test_the_command_is_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose_sample(page, "first.jpg")

    page.locator("#copy").click()

    expect(page.locator("#copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#curl").inner_text()
