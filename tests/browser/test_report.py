"""The report of `lineside explain` in a browser: whole, without a request, wide and narrow, and on paper."""

import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser
from support.bundles import CLASSES, write_random_bundle
from support.pictures import picture_file
from typer.testing import CliRunner

from app.cli.main import app
from app.domain import EncodedPicture
from app.evaluation.audit import Audit
from app.evaluation.evaluated import Evaluated, Evaluation
from app.evaluation.gallery import Mistake
from app.evaluation.labelled import LabelledItem
from app.evaluation.predictions import Predictions
from app.evaluation.shortcuts import GroupScore
from app.reports.evaluation_page import evaluation_page

LONG = {
    name: f"뒷다리 타박상 출혈 및 골절을 동반한 심각한 손상 등급 {number}호"
    for number, name in enumerate(CLASSES)
}
"""Labels that differ in their last letters only."""
LINES_OF = """selector => [...document.querySelectorAll(selector)].map(each => {
    const range = document.createRange();
    range.selectNodeContents(each);
    return new Set([...range.getClientRects()].map(box => Math.round(box.top))).size;
})"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    write_random_bundle(root / "models", display={"ko": LONG})
    for number, name in enumerate(("other", "third"), start=1):
        write_random_bundle(root / "models", name=name, seed=number)
    for number in range(6):
        folder = root / "pictures" / CLASSES[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(
            picture_file(number, width=320, height=640 if number == 2 else 240)
        )
    arguments = ["explain", str(root / "pictures"), "--model", "line", "--model", "other", "--model", "third"]
    result = CliRunner().invoke(
        app,
        [
            *arguments,
            "--layers",
            "all",
            "--language",
            "ko",
            "--out",
            str(root / "report.html"),
            "--models",
            str(root / "models"),
            "--device",
            "cpu",
        ],
    )
    assert result.exit_code == 0
    return root / "report.html"


@pytest.mark.parametrize("width", [1180, 390])
def test_it_opens_without_a_request_and_fits(
    report: Path, browser: Browser, tmp_path: Path, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    requests: list[str] = []
    troubles: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))

    page.goto(report.as_uri())
    page.screenshot(path=tmp_path / "report.png", full_page=True)

    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert troubles == []
    assert page.locator("article").count() == 6
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (tmp_path / "report.png").stat().st_size > 100_000
    page.close()


def test_on_paper_no_picture_is_cut(report: Path, browser: Browser) -> None:
    """A4 less its margins is 182 mm x 265 mm, at 96 dots an inch 688 x 1002; three models with all depths fit, and
    a picture twice as high as wide."""
    page = browser.new_page(viewport={"width": 688, "height": 1002})
    page.goto(report.as_uri())
    page.emulate_media(media="print")

    heights = page.evaluate("[...document.querySelectorAll('article')].map(card => card.offsetHeight)")
    breaks = page.evaluate(
        "[...document.querySelectorAll('article')].map(card => getComputedStyle(card).breakInside)"
    )

    assert max(heights) < 1002
    assert set(breaks) == {"avoid"}
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.close()


@pytest.mark.parametrize(("media", "width"), [("print", 688), ("screen", 1180), ("screen", 390)])
def test_no_label_is_cut_and_no_number_broken(
    report: Path, browser: Browser, media: Literal["print", "screen"], width: int
) -> None:
    """Long labels differ at their ends, and on paper there is no tooltip."""
    page = browser.new_page(viewport={"width": width, "height": 1002})
    page.goto(report.as_uri())
    page.emulate_media(media=media)

    cut = page.evaluate(
        "[...document.querySelectorAll('.bar-label')]"
        ".filter(each => each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight).length"
    )
    lines = page.evaluate(LINES_OF, ".probability, .bar-value")

    assert page.locator(".bar-label").count() > 50
    assert cut == 0
    assert set(lines) == {1}
    page.close()


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two models, with long labels, a mistake and an accuracy by group."""
    classes = tuple(LONG.values())
    items = tuple(
        LabelledItem(Path(f"{name}/{number}.jpg"), at)
        for at, name in enumerate(classes)
        for number in range(4)
    )
    logits = np.eye(len(classes), dtype=np.float32)[[at % len(classes) for at in range(len(items))]]
    drawn = EncodedPicture("image/jpeg", 320, 240, picture_file(1, width=320, height=240))
    mistake = Mistake(items[1], 1, 0.99996, 0.00002, drawn, drawn, drawn)
    subject = Evaluated("line/1", None, Predictions(classes, items, logits, ()), 1.5, {}, (mistake,))
    groups = (GroupScore("day", "2026-01-01", 4, 3),)
    audit = Audit(classes, (4,) * len(classes), (), asked="line/1", group_scores=groups)
    path = tmp_path_factory.mktemp("evaluation") / "evaluation.html"
    path.write_bytes(evaluation_page(Evaluation("pictures", (subject, subject), audits=(audit,)), "ko"))
    return path


def test_an_evaluation_fits_a_phone(evaluation: Path, browser: Browser) -> None:
    """Its tables may be pushed sideways, each for itself; the page may not, and no bar or number is squeezed."""
    page = browser.new_page(viewport={"width": 360, "height": 640})
    page.goto(evaluation.as_uri())

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    bars = page.evaluate("[...document.querySelectorAll('td svg')].map(bar => bar.clientWidth)")
    assert set(page.evaluate(LINES_OF, "tbody td:not(:has(svg))")) == {1}
    assert set(bars) == {150}
    page.close()


@pytest.mark.parametrize("which", ["report", "evaluation"])
def test_on_a_phone_no_cell_is_squeezed_to_a_letter_a_line(
    which: str, request: pytest.FixtureRequest, browser: Browser
) -> None:
    """Korean may break anywhere, and a table would rather grow down than be pushed sideways."""
    path: Path = request.getfixturevalue(which)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(path.as_uri())

    squeezed = page.locator("th, td").evaluate_all(
        """cells => cells.filter(it => {
            const had = it.offsetWidth;
            const word = document.createElement("span");
            word.style.cssText = "position: absolute; white-space: nowrap";
            word.textContent = it.textContent.split(/\\s/).sort((a, b) => b.length - a.length)[0].slice(0, 4);
            it.append(word);
            const needed = word.offsetWidth;
            word.remove();
            return had < needed;
        }).map(it => it.textContent)"""
    )

    assert squeezed == []
    page.close()


def test_on_paper_the_three_pictures_of_a_mistake_stand_beside_each_other(
    evaluation: Path, browser: Browser
) -> None:
    """A4 is as narrow as a phone that is held across, and is none."""
    page = browser.new_page(viewport={"width": 688, "height": 1002})
    page.goto(evaluation.as_uri())
    page.emulate_media(media="print")

    tops = page.evaluate(
        "[...document.querySelectorAll('.mistake')[0].querySelectorAll('figure')].map(each => each.offsetTop)"
    )

    assert len(tops) == 3
    assert len(set(tops)) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    page.close()


@pytest.mark.parametrize(("name", "page"), [("report", "explanations.md"), ("evaluation", "evaluation.md")])
def test_the_docs_show_what_the_command_makes(name: str, page: str, tmp_path: Path) -> None:
    """The same size; its pixels may differ with fonts and browsers."""
    root = Path(__file__).resolve().parents[2]

    # In a process of its own: this one's Playwright is busy with the other tests' browser.
    subprocess.run([sys.executable, "-m", f"app.demo.{name}_picture", "--to", tmp_path], cwd=root, check=True)

    committed = root / "docs" / "img" / f"{name}.webp"
    assert committed.stat().st_size < 60_000
    with Image.open(committed) as shown, Image.open(tmp_path / f"{name}.webp") as now:
        assert shown.size == now.size
    assert f"(img/{name}.webp)" in (root / "docs" / page).read_text(encoding="utf-8")
