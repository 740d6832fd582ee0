"""`lineside explain`: the report of a real run, its numbers, and what it refuses."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.bundles import CLASSES, write_random_bundle
from support.pictures import damaged_file, picture_file
from typer.testing import CliRunner

from app import __version__
from app.cli.main import app
from app.demo.painter import painted_file

run = CliRunner()
DEMO = Path(__file__).resolve().parents[2] / "models" / "carcass-demo"
KOREAN = {"ko": {"castrate": "거세", "boar": "수", "female": "암"}}


@dataclass
class Report:
    """A run of the command."""

    code: int
    output: str
    html: str
    numbers: dict[str, Any]

    @property
    def cards(self) -> list[str]:
        """Of the pictures, in order."""
        return re.findall(r"<article.*?</article>", self.html, re.DOTALL)

    @property
    def groups(self) -> dict[str, list[str]]:
        """Title -> the pictures' names."""
        found = {}
        for section in re.findall(r'<section class="pictures".*?</section>', self.html, re.DOTALL):
            title, names = (
                re.search(r"<h2>(.*?)<", section),
                re.findall(r'<h3 class="file">.*?/(.*?)</h3>', section),
            )
            assert title is not None
            found[title[1]] = names
        return found


def explain(folder: Path, out: Path, models: Path, *arguments: str) -> Report:
    result = run.invoke(
        app,
        [
            "explain",
            str(folder),
            "--out",
            str(out / "r.html"),
            "--models",
            str(models),
            "--device",
            "cpu",
            *arguments,
        ],
    )
    if not (out / "r.html").exists():
        return Report(result.exit_code, result.output, "", {})
    html = (out / "r.html").read_text(encoding="utf-8")
    return Report(result.exit_code, result.output, html, json.loads((out / "explanations.json").read_bytes()))


def refusal(*arguments: str) -> str:
    result = run.invoke(app, ["explain", *arguments, "--device", "cpu"])
    assert result.exit_code == 1
    return getattr(result.exception, "message", "")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model; `line`, which knows nothing; `turned`, the same with its outputs in another order."""
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(DEMO, root / "carcass-demo")
    write_random_bundle(root, display=KOREAN)
    write_random_bundle(root, name="turned", classes=CLASSES[::-1])
    write_random_bundle(root, name="animals", classes=("cat", "dog", "cow"))
    return root


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two carcasses of each class, and a file that is none."""
    root = tmp_path_factory.mktemp("painted") / "line 3"
    for number, name in enumerate(CLASSES * 2):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(painted_file(name, 1_000_000 + number))
    (root / "boar" / "<b>cut.jpg").write_bytes(damaged_file())
    return root


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine small pictures in class folders."""
    root = tmp_path_factory.mktemp("small")
    for number in range(9):
        folder = root / CLASSES[number % 3]
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(picture_file(number))
    return root


@pytest.fixture(scope="module")
def report(painted: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    out = tmp_path_factory.mktemp("out")
    return explain(painted, out, models, "--model", "carcass-demo", "--model", "line", "--layers", "all")


def test_every_picture_that_can_be_read_is_there_and_the_other_is_told(report: Report) -> None:
    shown = sorted(name for names in report.groups.values() for name in names)

    assert shown == [f"{number}.jpg" for number in range(6)]
    assert len(report.cards) == 6
    assert report.code == 1
    assert "&lt;b&gt;cut.jpg" in report.html
    assert [Path(row["file"]).name for row in report.numbers["unread"]] == ["<b>cut.jpg"]


def test_right_and_wrong_ones_are_apart(report: Report) -> None:
    """The groups are those of the numbers, the most mistaken first."""
    expected: dict[str, list[str]] = {}
    for picture in report.numbers["pictures"]:
        demo, line = (answer["is_right"] for answer in picture["answers"])
        title = {
            (False, False): "Wrong in every model",
            (True, True): "Right in every model",
            (True, False): "Right in carcass-demo/1, wrong in line/1",
            (False, True): "Right in line/1, wrong in carcass-demo/1",
        }[demo, line]
        expected.setdefault(title, []).append(Path(picture["file"]).name)

    assert {title: sorted(names) for title, names in report.groups.items()} == {
        title: sorted(names) for title, names in expected.items()
    }
    assert "Right in every model" not in list(report.groups)[:-1]
    assert report.numbers["models"][0]["figures"]["hits"] == 6


def test_of_a_handful_of_pictures_no_accuracy_is_claimed(report: Report) -> None:
    """As in an evaluation of the same folder; the hits are counted."""
    assert (
        "No accuracy is claimed: fewer than 30 pictures of castrate (2), boar (2), female (2)." in report.html
    )
    assert "6 of 6" in report.html
    assert "100.0 %" not in report.html
    assert "95 %:" not in report.html


def test_the_file_needs_nothing_but_itself(report: Report) -> None:
    """Every picture is in it and can be opened; nothing else is linked."""
    attributes: list[tuple[str, str]] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            attributes.extend(
                (name, value or "") for name, value in attrs if name in {"src", "href", "srcset"}
            )

    Links().feed(report.html)
    sources = [value for name, value in attributes if name == "src"]
    assert "http://" not in report.html
    assert "https://" not in report.html
    assert all(value.startswith("#group-") for name, value in attributes if name == "href")
    # A picture, two overlays and three depths of each for six pictures; and where two models look.
    looks = sum(len(model["looks"]) for model in report.numbers["models"])
    assert len(sources) == 6 * (1 + 2 + 6) + looks
    for source in sources:
        kind, data = source.split(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            image.load()
            assert max(image.size) <= 480
    assert len(report.html) < 60_000 * len(sources)


def test_each_picture_has_its_sentence_cover_check_and_depths(report: Report) -> None:
    sentences = [
        answer["explanation"]["sentence"]
        for picture in report.numbers["pictures"]
        for answer in picture["answers"]
    ]
    demo = [picture["answers"][0]["explanation"] for picture in report.numbers["pictures"]]

    assert all(sentence in report.html for sentence in sentences)
    assert all("the evidence for" in sentence or "speaks for" in sentence for sentence in sentences)
    assert sum(each["cover"]["verdict"] == "lowers" for each in demo) >= 5
    for each in demo:
        total = sum(region["contribution"] for region in each["regions"]) + each["rest"] + each["map"]["bias"]
        assert total == pytest.approx(each["logit"], abs=1e-3)
        assert list(each["layers"]["maps"]) == ["layer1", "layer2", "layer3"]
    assert all(card.count("<figcaption>") == 6 and card.count("Cover check") >= 1 for card in report.cards)


def test_a_summary_says_where_each_model_looks(report: Report) -> None:
    """The painted cue is always on the ham: right of the middle, in the lower half."""
    looks = report.numbers["models"][0]["looks"]

    assert set(looks) == set(CLASSES)
    assert sum(look["pictures"] for look in looks.values()) == 6
    for look in looks.values():
        x, y = look["centroid"]
        assert 0.5 < x < 0.8
        assert 0.55 < y < 0.85
    assert "says boar" in report.html


def test_the_page_says_what_made_it_and_what_each_picture_is(report: Report) -> None:
    """No two mean maps are read aloud alike; nor are two photographs."""
    assert f"lineside {__version__} · 7 pictures of" in report.html
    maps = re.findall(r'alt="(Mean map of [^"]*)"', report.html)
    assert len(maps) == sum(len(model["looks"]) for model in report.numbers["models"])
    assert len(set(maps)) == len(maps)
    assert len(set(re.findall(r'alt="(Picture: [^"]*)"', report.html))) == 6


def test_no_probability_is_rounded_to_certainty(report: Report) -> None:
    """The demo model is sure of its paintings, to more than three digits of some."""
    shown = re.findall(r'class="probability">([^<]*)<', report.html)
    probabilities = [
        max(answer["probabilities"])
        for picture in report.numbers["pictures"]
        for answer in picture["answers"]
    ]

    assert len(shown) == 12
    assert shown.count("&gt; 99.9 %") == sum(value >= 0.9995 for value in probabilities) > 0
    assert not {"100.0 %", "0.0 %"} & set(shown)


def test_few_are_shown_and_all_are_counted(small: Path, models: Path, tmp_path: Path) -> None:
    """In Korean, of one model; which pictures are left out is said, in the page and in the numbers."""
    found = explain(small, tmp_path, models, "--model", "line", "--max-pictures", "4", "--language", "ko")

    assert found.code == 0
    assert len(found.cards) == 4
    assert sum(picture["is_shown"] for picture in found.numbers["pictures"]) == 4
    assert found.numbers["models"][0]["figures"]["labelled"] == 9
    assert "고르게 뽑은" in found.html
    assert "가장 진한 색: 최댓값" in found.html
    assert " max " not in found.html
    assert '<html lang="ko">' in found.html
    assert "거세" in found.html
    assert all(
        re.search(r'<p class="sentence">[^<]*(습니다|집니다|릅니다|입니다)\.', card) for card in found.cards
    )


def test_models_are_compared_by_the_names_of_their_classes(small: Path, models: Path, tmp_path: Path) -> None:
    """`turned` has the weights of `line` but calls its first output female: its columns are turned back."""
    found = explain(small, tmp_path, models, "--model", "line", "--model", "turned")

    for picture in found.numbers["pictures"]:
        line, turned = (answer["probabilities"] for answer in picture["answers"])
        assert turned == pytest.approx(line[::-1], abs=1e-6)
        assert max(zip(turned, CLASSES, strict=True))[1] == picture["answers"][1]["predicted"]


def test_each_model_reads_a_picture_as_its_own_manifest_says(tmp_path: Path) -> None:
    """One turns a photograph upright, the other was trained on it as it lies: their answers are those of each alone."""
    write_random_bundle(tmp_path / "models")
    write_random_bundle(tmp_path / "models", name="upright", orientation="apply")
    turned = Image.Exif()
    turned[0x0112] = 6
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(picture_file(1, exif=turned))

    both = explain(tmp_path / "in", tmp_path, tmp_path / "models", "--model", "line", "--model", "upright")
    alone = explain(tmp_path / "in", tmp_path, tmp_path / "models", "--model", "upright")

    [line, upright] = both.numbers["pictures"][0]["answers"]
    [same] = alone.numbers["pictures"][0]["answers"]
    assert upright["probabilities"] == pytest.approx(same["probabilities"], abs=1e-6)
    assert line["probabilities"] != pytest.approx(same["probabilities"], abs=1e-3)


def test_without_class_folders_nothing_is_right_or_wrong(small: Path, models: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(small.rglob("*.jpg"))[:4]):
        (tmp_path / "day").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "day" / f"{number}.jpg")

    found = explain(tmp_path, tmp_path, models, "--model", "line", "--model", "turned")

    assert found.code == 0
    assert set(found.groups) <= {"The models agree", "The models disagree"}
    assert sum(map(len, found.groups.values())) == 4
    assert found.numbers["labelled"] is False
    assert "Accuracy" not in found.html
    assert "no subfolder is named after a class" in found.html


def test_what_cannot_be_compared_is_refused_with_the_fix(small: Path, models: Path, tmp_path: Path) -> None:
    of = ["--models", str(models)]
    line = [*of, "--model", "line"]

    assert "the same classes" in refusal(str(small), *line, "--model", "animals")
    assert "`cat`" in refusal(str(small), *line, "--model", "animals")
    assert "--model: name the model; the model repository holds" in refusal(str(small), *of)
    assert "named twice" in refusal(str(small), *line, "--model", "line/1")
    assert "is a folder" in refusal(str(small), *line, "--out", str(tmp_path))
    assert "both name" in refusal(str(small), *line, "--out", "a.html", "--json", "a.html")
    assert "cannot be written to /proc/no (" in refusal(str(small), *line, "--out", "/proc/no/r.html")
    assert "no pictures" in refusal(str(tmp_path), *line)
    assert "line/1: layers: no layer 'layer9'" in refusal(str(small), *line, "--layers", "layer9")


def test_link_and_pipe_that_are_named_stay_what_they_are(small: Path, models: Path, tmp_path: Path) -> None:
    """The report goes to the file that a link leads to, the numbers to the program that reads the pipe."""
    page, pipe = tmp_path / "r.html", tmp_path / "pipe"
    page.symlink_to("other/r.html")
    os.mkfifo(pipe)
    line = ["--models", str(models), "--model", "line"]

    aside = refusal(str(small), *line, "--out", str(pipe))
    with subprocess.Popen(["/bin/cat", pipe], stdout=subprocess.PIPE) as reader:
        result = run.invoke(
            app, ["explain", str(small / "boar"), *line, "--out", str(page), "--json", str(pipe)]
        )
        said = reader.communicate(timeout=10)[0]

    assert "--json FILE" in aside
    assert result.exit_code == 0, result.output
    assert len(json.loads(said)["pictures"]) == 3
    assert page.is_symlink()
    assert (tmp_path / "other" / "r.html").read_text("utf-8").startswith("<!doctype html>")


def test_a_folder_of_broken_pictures_is_refused_and_nothing_is_written(models: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(damaged_file())

    message = refusal(
        str(tmp_path / "in"), "--models", str(models), "--model", "line", "--out", str(tmp_path / "r.html")
    )

    assert "none of the 1 pictures could be read; a.jpg" in message
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
