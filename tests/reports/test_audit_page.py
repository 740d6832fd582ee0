"""The page of an audit: what it must say to be understood in half a year, and what is not cut without a word."""

import re
from pathlib import Path

import pytest

from app import __version__
from app.domain import ModelIdentity
from app.errors import UnreadableImage
from app.evaluation.association import contingency
from app.evaluation.audit import Audit
from app.evaluation.evaluated import ModelFacts
from app.evaluation.labelled import LabelledItem
from app.evaluation.predictions import Failure
from app.evaluation.shortcuts import UNKNOWN, Association, GroupScore, Separation
from app.reports.audit_page import audit_page
from app.reports.audit_words import Language, findings

MODEL = ModelFacts(
    ModelIdentity("line", 1, "sha256:" + "ab" * 32),
    "resnet50",
    "cpu",
    "float32",
    notice="Not for use on meat",
)


def broken(count: int) -> list[Failure]:
    return [
        Failure(LabelledItem(Path(f"boar/{number}.jpg"), 0), UnreadableImage("it is cut"))
        for number in range(count)
    ]


def page_of(
    audit: Audit, language: Language = "en", *, model: ModelFacts | None = MODEL, unread: int = 0
) -> str:
    return audit_page(
        audit, "day 3", language, {}, model=model, failures=broken(unread), created="2026-01-31"
    ).decode()


def text_of(page: str) -> str:
    body = re.sub(r"<(style|title)>.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", body))


def test_the_page_says_of_what_it_is_and_when_it_was_made() -> None:
    text = text_of(page_of(Audit(("boar", "female"), (9, 6), (), asked="line/1"), unread=1))

    assert "15 pictures of day 3, through the server's own decoding and engine." in text
    assert f"lineside {__version__}, 2026-01-31" in text
    assert "line/1, resnet50, cpu, float32, sha256:abababababab" in text
    assert "Not for use on meat" in text
    assert "boar/0.jpg : it is cut" in text
    assert "macro F1" not in text
    assert "Calibration" not in text


def test_without_a_model_none_is_named() -> None:
    text = text_of(page_of(Audit(("boar", "female"), (1, 0), ()), model=None))

    assert "1 picture of day 3. lineside" in text
    assert "engine" not in text


def test_of_many_groups_the_worst_are_shown_and_the_cut_is_told() -> None:
    """Eighty-four days; on the last one of them everything was wrong."""
    days = [f"2026-{month:02}-{day:02}" for month in (1, 2, 3) for day in range(1, 29)]
    scores = tuple(GroupScore("day", day, 10, 0 if day == days[-1] else 10) for day in days)

    page = page_of(Audit(("boar", "female"), (420, 420), (), asked="line/1", group_scores=scores))

    [shown] = re.findall(r"<h3>Accuracy by group</h3><table>.*?<tbody>(.*?)</tbody>", page, re.DOTALL)
    rows = re.findall(r"<tr>.*?</tr>", shown, re.DOTALL)
    assert len(rows) == 48
    assert days[-1] in rows[0]
    assert "and 36 more, in audit.json" in page


@pytest.mark.parametrize(
    ("language", "said"), [("en", "picture: not recorded; the others A."), ("ko", "기록 없음, 나머지 A.")]
)
def test_pictures_that_say_no_camera_are_not_called_by_a_dash(language: Language, said: str) -> None:
    table = contingency(
        ["boar"] * 20 + ["female"] * 20, [UNKNOWN] * 20 + ["A"] * 20, order=("boar", "female")
    )
    apart = Separation("boar", 20, (UNKNOWN,), ("A",))
    found = Association("camera", table, 1.0, 0.001, 0.001, (apart,))

    assert said in findings(Audit(("boar", "female"), (20, 20), (found,)), language)[0].text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "No two classes share a pattern of the file name: boar B#; castrate C#; female F#."),
        ("ko", "파일 이름 형식이 같은 클래스가 하나도 없습니다: boar B#; castrate C#; female F#."),
    ],
)
def test_it_is_the_patterns_of_names_that_are_compared(language: Language, said: str) -> None:
    """No two files of one folder share a name anyway."""
    classes, patterns = ("boar", "castrate", "female"), ("B#", "C#", "F#")
    table = contingency(
        [name for name in classes for _ in range(40)],
        [each for each in patterns for _ in range(40)],
        order=classes,
    )
    apart = tuple(
        Separation(name, 40, (own,), tuple(each for each in patterns if each != own))
        for name, own in zip(classes, patterns, strict=True)
    )
    found = Association("name", table, 1.0, 0.001, 0.001, apart)

    assert said in findings(Audit(classes, (40, 40, 40), (found,)), language)[0].text


def test_an_audit_says_of_unread_files_no_more_than_that_no_model_saw_them() -> None:
    """Their names and kinds are in its tables."""
    text = text_of(page_of(Audit(("boar", "female"), (9, 6), ()), unread=2))

    assert "Could not be read, and in no figure of a model: 2" in text


def test_of_many_broken_files_the_cut_is_told() -> None:
    page = page_of(Audit(("boar", "female"), (9, 6), ()), unread=61)

    assert page.count("it is cut") == 50
    assert "and 11 more, in audit.json" in page


@pytest.mark.parametrize(("language", "marked"), [("en", False), ("ko", True)])
def test_english_on_a_korean_page_is_marked_as_english(language: Language, marked: bool) -> None:
    """So that it is read aloud as English."""
    page = page_of(Audit(("boar", "female"), (9, 6), ()), language, unread=1)

    for said in ("it is cut", "Not for use on meat"):
        assert (f'<span lang="en">{said}</span>' in page) is marked
