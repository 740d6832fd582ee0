"""The evidence in words, on the picture as boxes, and under closer looks."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
from browser.steps import (
    EXPECTED,
    GOLDEN,
    KOREAN,
    Watch,
    bar,
    choose_file,
    choose_sample,
    percent,
    problem,
    share,
    wait_for_answer,
)
from playwright.sync_api import Page, Route, expect
from support.pictures import picture_file

from app.explain.cover import MAX_OVERLAP, Verdict

Answers = Callable[..., dict[str, Any]]
Pages = Callable[..., Page]

ON_THE_PICTURE = """() => {
    // Where the picture's pixels are on the screen: it is fitted into its element, edges in the middle.
    const image = document.querySelector("#plain");
    const frame = image.getBoundingClientRect();
    const scale = Math.min(frame.width / image.naturalWidth, frame.height / image.naturalHeight);
    const left = frame.x + (frame.width - scale * image.naturalWidth) / 2;
    const top = frame.y + (frame.height - scale * image.naturalHeight) / 2;
    return [scale, left, top, image.naturalWidth, image.naturalHeight];
}"""


def covers(page: Page, name: str = "first.jpg") -> None:
    """Choose a sample and check it."""
    choose_sample(page, name)
    page.locator("#ask-check").click()
    page.locator("#cover").wait_for()


def words(page: Page) -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = page.evaluate(
        "import('/static/words.js').then(module => module.WORDS)"
    )
    return table


# --- words -------------------------------------------------------------------------------------


def test_the_sentence_is_the_servers_in_the_readers_language(page: Page, answer_for: Answers) -> None:
    expected = answer_for(GOLDEN["first.jpg"])["explanation"]["sentence"]

    choose_sample(page, "first.jpg")
    expect(page.locator("#sentence")).to_have_text(expected["en"])
    expect(page.locator("#spoken")).to_contain_text(expected["en"])

    page.get_by_role("button", name="한국어").click()
    expect(page.locator("#sentence")).to_have_text(expected["ko"])


def test_the_sentence_belongs_to_the_map_on_the_stage(page: Page, answer_for: Answers) -> None:
    answer = answer_for(GOLDEN["first.jpg"])
    other = answer["top_k"][1]["class"]
    expected = answer_for(GOLDEN["first.jpg"], target=other)["explanation"]["sentence"]["en"]
    choose_sample(page, "first.jpg")

    bar(page, other).click()

    expect(page.locator("#sentence")).to_have_text(expected)
    expect(page.locator("#spoken")).to_contain_text(expected)
    assert expected != answer["explanation"]["sentence"]["en"]


def test_a_share_is_never_rounded_to_all_or_to_nothing(page: Page) -> None:
    shown = page.evaluate(
        "import('/static/format.js').then(({ share }) => [1, 0.996, 0.994, 0.5, 0.004, 0].map(share))"
    )

    assert shown == ["100 %", "> 99 %", "99 %", "50 %", "< 1 %", "0 %"]


# --- boxes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("size", [(320, 240), (900, 150), (150, 700)])
def test_boxes_lie_where_the_reply_says(
    open_page: Pages, answer_for: Answers, width: int, size: tuple[int, int]
) -> None:
    """On the screen, whatever the shapes of window and picture; their labels stay inside the picture."""
    picture = picture_file(4, width=size[0], height=size[1])
    regions = answer_for(picture)["explanation"]["regions"]
    boxes = [region["box"] for region in reversed(regions["regions"]) if region["box"]]
    boxes.insert(
        0, [EXPECTED.x0 * size[0], EXPECTED.y0 * size[1], EXPECTED.x1 * size[0], EXPECTED.y1 * size[1]]
    )
    page = open_page(viewport={"width": width, "height": 844})

    choose_file(page, "shape.jpg", picture)
    wait_for_answer(page, "shape.jpg")

    scale, left, top, natural_width, _ = page.evaluate(ON_THE_PICTURE)
    scale *= natural_width / size[0]  # very large pictures come smaller
    drawn = page.locator("#marks .line")
    assert drawn.count() == len(boxes) > 1
    line = 2.0  # pixels on the screen; the bounding box has half of it on each side
    for rect, (x0, y0, x1, y1) in zip(drawn.all(), boxes, strict=True):
        seen = rect.evaluate(
            "rect => { const { x, y, right, bottom } = rect.getBoundingClientRect(); "
            "return [x, y, right, bottom]; }"
        )
        expected = [left + scale * x0, top + scale * y0, left + scale * x1, top + scale * y1]
        assert seen == pytest.approx(expected, abs=line)
    bottom = top + scale * size[1]
    for label in page.locator("#marks text").all():
        box = label.bounding_box()
        assert box is not None
        assert 10 < box["height"] < 40
        assert box["y"] >= top - line
        assert box["y"] + box["height"] <= bottom + line


def test_boxes_tell_their_share_and_the_facts_what_lies_inside_the_expected_region(
    page: Page, answer_for: Answers
) -> None:
    regions = answer_for(GOLDEN["first.jpg"])["explanation"]["regions"]

    choose_sample(page, "first.jpg")

    labels = page.locator("#marks .region text").all_text_contents()
    told = [share(region["share_of_positive"]) for region in regions["regions"] if region["box"]]
    assert labels == told[::-1]
    expect(page.locator("#facts")).to_contain_text(f"{share(regions['share_inside'])} of the evidence inside")


def test_the_strongest_region_is_drawn_above_the_others(page: Page) -> None:
    """Where two lie close together, the other's box may not strike out its label."""
    regions = [
        {"box": [10, 40, 30, 60], "share_of_positive": 0.6},
        {"box": [10, 25, 30, 38], "share_of_positive": 0.1},
    ]
    shown = {
        "image": {"width": 100, "height": 100},
        "explanation": {"regions": {"region_of_interest": None, "regions": regions}},
    }

    page.evaluate(
        "shown => import('/static/marks.js').then(({ drawMarks }) => drawMarks({ shown, hasMarks: true }))",
        shown,
    )

    assert page.locator("#marks .region text").all_text_contents() == ["10 %", "60 %"]


def test_boxes_are_put_away_without_a_request_and_stay_away(page: Page) -> None:
    choose_sample(page, "first.jpg")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.keyboard.press("r")
    expect(page.locator("#marks")).to_be_hidden()
    assert asked == []
    page.reload()
    choose_sample(page, "first.jpg")
    expect(page.locator("#marks")).to_be_hidden()
    page.locator("#marks-toggle").click()

    expect(page.locator("#marks")).to_be_visible()
    expect(page.locator("#marks-toggle")).to_have_attribute("aria-pressed", "true")


# --- the check ---------------------------------------------------------------------------------


def test_the_check_shows_four_bars_and_the_verdict(page: Page, answer_for: Answers) -> None:
    """And the sentence becomes the checked one, in both languages."""
    explanation = answer_for(GOLDEN["first.jpg"], check="cover")["explanation"]
    cover, sentence = explanation["check"]["cover"], explanation["sentence"]

    covers(page)

    texts = words(page)
    numbers = page.locator("#cover li .number").all_inner_texts()
    order = ("probability", "without_region", "only_region", "without_random")
    assert numbers == [percent(cover[part]) for part in order]
    fills = page.locator("#cover .fill").evaluate_all("fills => fills.map(fill => fill.style.width)")
    assert [float(width.rstrip("%")) for width in fills] == pytest.approx(
        [100 * cover[part] for part in order]
    )
    has_no_control = cover["verdict"] == "lowers" and cover["random_overlap"] > MAX_OVERLAP
    key = f"check.verdict.{cover['verdict']}{'.alone' if has_no_control else ''}"
    target = explanation["target"]["class"]
    expect(page.locator("#cover-verdict")).to_have_text(texts[key]["en"].replace("{class}", target))
    expect(page.locator("#sentence")).to_have_text(sentence["en"])
    expect(page.locator("#spoken")).to_contain_text(sentence["en"])
    expect(page.locator("#curl")).to_contain_text("check=cover")
    page.get_by_role("button", name="한국어").click()
    expect(page.locator("#sentence")).to_have_text(sentence["ko"])
    expect(page.locator("#cover-verdict")).to_have_text(texts[key]["ko"].replace("{class}", KOREAN[target]))


def test_every_verdict_has_words(page: Page) -> None:
    assert {f"check.verdict.{verdict}" for verdict in get_args(Verdict)} <= set(words(page))


def test_the_check_belongs_to_its_class_and_goes_when_asked_again(page: Page, answer_for: Answers) -> None:
    answer = answer_for(GOLDEN["first.jpg"])
    covers(page)

    bar(page, answer["top_k"][1]["class"]).click()
    expect(page.locator("#cover")).to_be_hidden()
    bar(page, answer["class"]).click()
    expect(page.locator("#cover")).to_be_visible()
    page.keyboard.press("k")

    expect(page.locator("#cover")).to_be_hidden()
    expect(page.locator("#ask-check")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#sentence")).to_have_text(answer["explanation"]["sentence"]["en"])


def test_a_check_does_not_outlive_its_picture(page: Page, answer_for: Answers) -> None:
    """Not even for the same class."""
    name = answer_for(GOLDEN["first.jpg"])["class"]
    unchecked = answer_for(GOLDEN["second.png"], target=name)["explanation"]["sentence"]["en"]
    covers(page)

    choose_sample(page, "second.png")
    bar(page, name).click()

    expect(page.locator("#sentence")).to_have_text(unchecked)
    expect(page.locator("#cover")).to_be_hidden()


def test_a_check_still_under_way_is_given_up_for_a_new_picture(page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/explain?*check=*", hold)
    choose_sample(page, "first.jpg")
    page.keyboard.press("k")
    expect(page.locator("#ask-check")).to_have_attribute("aria-busy", "true")

    choose_sample(page, "second.png")
    for route in held:
        route.abort()

    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert len(held) == 1
    expect(page.locator("#ask-check")).to_have_attribute("aria-busy", "false")
    assert page.locator("#cover").is_hidden()
    assert page.locator("#problem").is_hidden()


def test_a_check_that_fails_leaves_the_answer_and_can_be_tried_again(page: Page, watch: Watch) -> None:
    watch.may_fail = True
    choose_sample(page, "first.jpg")
    page.route("**/explain?*check=*", lambda route: route.abort())
    page.keyboard.press("k")
    assert "The server cannot be reached" in problem(page)
    assert page.locator("#result").is_visible()

    page.unroute("**/explain?*check=*")
    page.locator("#retry").click()

    page.locator("#cover").wait_for()
    assert page.locator("#problem").is_hidden()


def test_where_no_region_stands_out_nothing_can_be_covered(page: Page) -> None:
    def without_regions(route: Route) -> None:
        reply = route.fetch()
        if "json" not in reply.headers["content-type"]:
            route.fulfill(response=reply)
            return
        body = reply.json()
        body["explanation"]["regions"] |= {"status": "even", "regions": []}
        route.fulfill(response=reply, json=body)

    page.route("**/explain?*", without_regions)
    choose_sample(page, "first.jpg")

    expect(page.locator("#ask-check")).to_be_disabled()
    assert page.locator("#marks .region").count() == 0
    assert page.locator("#marks .expected").count() == 1
