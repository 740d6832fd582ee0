"""The page of an evaluation: what must stand on it in which case, in both languages."""

import re
import string
from dataclasses import fields, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from app.domain import EncodedPicture, ModelIdentity
from app.evaluation.audit import Audit
from app.evaluation.evaluated import Evaluated, Evaluation, ModelFacts
from app.evaluation.gallery import Mistake
from app.evaluation.history import EpochRow
from app.evaluation.labelled import LabelledItem
from app.evaluation.origins import Met
from app.evaluation.predictions import Predictions
from app.evaluation.robustness import PaintedOver
from app.evaluation.shortcuts import GroupScore
from app.evaluation.significance import McNemar, mcnemar
from app.reports.audit_section import warnings
from app.reports.evaluation_page import evaluation_page
from app.reports.evaluation_sentences import verdict
from app.reports.evaluation_words import ENGLISH, KOREAN

CLASSES = ("a", "b")


def evaluated(per_class: int, *, mistakes: int = 0, temperature: float = 1.0) -> Evaluated:
    items = tuple(LabelledItem(Path(f"{index}/{n}.png"), index) for index in (0, 1) for n in range(per_class))
    true = np.array([item.class_index for item in items])
    predicted = true.copy()
    predicted[:mistakes] = 1 - predicted[:mistakes]
    logits = (4.0 * np.eye(2)[predicted]).astype(np.float32)
    return Evaluated("m/1", None, Predictions(CLASSES, items, logits, ()), temperature, {"ko": ("가", "나")})


def text_of(evaluation: Evaluation, language: str = "en") -> str:
    page = evaluation_page(evaluation, "ko" if language == "ko" else "en").decode()
    body = re.sub(r"<(style|title)>.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", body))


def test_with_thirty_pictures_of_each_class_accuracy_is_claimed_with_its_interval() -> None:
    """27 of 30 and 30 of 30; Wilson's interval of 57 in 60."""
    text = text_of(Evaluation("f", (evaluated(30, mistakes=3),)))

    assert "95.0 % accuracy 95 %: 86.3 % to 98.3 %" in text
    assert "No accuracy is claimed" not in text


def test_with_fewer_none_is_claimed() -> None:
    text = text_of(Evaluation("f", (evaluated(29, mistakes=3),)))

    assert "No accuracy is claimed: fewer than 30 pictures of a (29), b (29)." in text
    assert "accuracy not claimed" in text
    assert "94.8" not in text


def test_calibration_is_shown_before_and_after_only_where_there_is_a_temperature() -> None:
    assert "after temperature scaling" not in text_of(Evaluation("f", (evaluated(30, mistakes=3),)))
    assert "after temperature scaling" in text_of(
        Evaluation("f", (evaluated(30, mistakes=3, temperature=1.5),))
    )


def test_without_a_mistake_the_macro_f1_has_an_interval_all_the_same() -> None:
    text = text_of(Evaluation("f", (evaluated(40),)))

    assert "1.000 to 1.000" not in text
    assert re.search(r"macro F1 95 %: 0\.9\d\d to 1\.000", text)
    assert "No mistake in 80 pictures." in text


def test_pictures_that_chose_the_epoch_are_told_of_though_an_accuracy_is_claimed() -> None:
    known = replace(evaluated(40), met=Met(chosen_by=7))

    assert "7 pictures of these 80 stood on the validation side" in text_of(Evaluation("f", (known,)))
    assert known.claims_accuracy
    assert not replace(known, met=Met(trained_on=1)).claims_accuracy


def test_the_labels_of_the_language_are_used() -> None:
    text = text_of(Evaluation("f", (evaluated(5),)), "ko")

    assert "가 (5), 나 (5)" in text


def test_both_languages_ask_for_the_same_numbers() -> None:
    """A placeholder that one of them lacks would fail only when it is shown."""
    for field in fields(ENGLISH):
        names = [
            {
                name
                for _, name, _, _ in string.Formatter().parse(getattr(words, field.name))
                if name is not None
            }
            for words in (ENGLISH, KOREAN)
        ]
        assert names[0] == names[1], field.name
        assert field.name == "language" or getattr(KOREAN, field.name), field.name


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (
            7,
            3,
            "such a difference comes by chance in 34.4 % of cases: not significant (McNemar's test, exact binomial)",
        ),
        (20, 2, "< 0.1 % of cases: significant, A is better"),
        (10, 40, "significant, B is better (McNemar's test, mid-p)"),
        (0, 0, "right and wrong on the same pictures"),
    ],
)
def test_two_models_are_compared_in_plain_words(one: int, other: int, said: str) -> None:
    right = np.repeat([True, False, True], [one, other, 5]), np.repeat([False, True, True], [one, other, 5])
    test: McNemar = mcnemar(*right)

    assert said in verdict(test, "A", "B", "en")
    if one:
        assert (
            f"A is right on {one} pictures where B is wrong, and wrong on {other} where it is right"
            in verdict(test, "A", "B", "en")
        )
    assert verdict(test, "A", "B", "ko")


def test_of_two_models_each_finding_names_its_own() -> None:
    used = PaintedOver("ink", 9, 9, 0.01, 8, 0.4, 0, 0.01, 0.01)
    audits = [
        Audit(CLASSES, (30, 30), (), asked="m/1", painted=(used,)),
        Audit(CLASSES, (30, 30), (), asked="m/2", painted=(replace(used, changed=0, shift=0.0),)),
    ]

    assert [text[:5] for text in warnings(audits, "en", {})] == ["m/1: "]
    assert warnings(audits[:1], "en", {})[0].startswith(
        "With the ink marks painted over, the answer changes in 8 of 9 pictures"
    )


@pytest.mark.parametrize(("highest", "is_cut"), [(1.3, False), (104.0, True)])
def test_one_huge_loss_does_not_flatten_the_others(highest: float, is_cut: bool) -> None:
    """Guessing among two classes loses 0.69; what is above twice that is drawn at the top, and said."""
    rows = tuple(EpochRow(number, 0.5, loss, 0.5) for number, loss in enumerate((highest, 0.6, 0.3), 1))

    page = evaluation_page(Evaluation("f", (evaluated(30),), history=rows), "en").decode()

    assert (f"the highest was {highest:.3g}" in page) is is_cut
    validation = re.findall(r'<polyline points="([^"]*)"', page)[1]
    heights = [float(point.split(",")[1]) for point in validation.split()]
    assert heights[0] == 26.0  # the top of the chart
    assert heights[2] - heights[0] > 50


def test_charts_are_well_formed() -> None:
    page = evaluation_page(Evaluation("f", (evaluated(30, mistakes=7),)), "en").decode()

    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 3  # a recall each, one reliability diagram
    for drawing in drawings:
        ElementTree.fromstring(drawing)  # noqa: S314 - our own page


def test_one_mistake_in_thousands_is_not_rounded_away() -> None:
    """2,999 of 3,000 are no 100 %; neither is the probability of a mistake that the model was sure of."""
    one = evaluated(1500, mistakes=1)
    drawn = EncodedPicture("image/png", 3, 2, b"x")
    mistake = Mistake(one.predictions.items[0], 1, 0.99996, 0.00004, drawn, drawn, drawn)

    text = text_of(Evaluation("f", (replace(one, mistakes=(mistake,)),)))

    assert "> 99.9 % accuracy" in text.replace("&gt;", ">")
    assert "why it said b (> 99.9 %)" in text.replace("&gt;", ">")
    assert "what speaks for a (< 0.1 %)" in text.replace("&lt;", "<")
    assert "> 0.999 macro F1" in text.replace("&gt;", ">")


def test_the_colours_of_a_map_are_explained_where_there_are_maps() -> None:
    one, drawn = evaluated(30, mistakes=1), EncodedPicture("image/png", 3, 2, b"x")
    mistake = Mistake(one.predictions.items[0], 1, 0.9, 0.1, drawn, drawn, drawn)

    with_maps = text_of(Evaluation("f", (replace(one, mistakes=(mistake,)),)))
    without = text_of(
        Evaluation("f", (replace(one, mistakes=(replace(mistake, for_predicted=None, for_true=None),)),))
    )

    assert "Colour is evidence for the class that stands below the map" in with_maps
    assert "Colour is evidence" not in without


def test_what_each_of_two_models_wants_to_be_read_stands_there_with_its_name() -> None:
    def subject(name: str, notice: str | None) -> Evaluated:
        model = ModelFacts(ModelIdentity(name, 1, "sha256:0"), "a", "cpu", "float32", notice=notice)
        return replace(evaluated(30, mistakes=1), name=f"{name}/1", model=model)

    demo, line = subject("demo", "Not for use on meat"), subject("line", None)

    assert "demo/1: Not for use on meat" in text_of(Evaluation("f", (demo, line)))
    assert "demo/1: Not for use on meat" in text_of(Evaluation("f", (line, demo)))
    both = text_of(Evaluation("f", (demo, subject("other", "Not for use on meat"))))
    assert both.count("Not for use on meat") == 1
    assert "demo/1, other/1: Not for use on meat" in both
    alone = text_of(Evaluation("f", (demo,)))
    assert "Not for use on meat" in alone
    assert "demo/1: Not" not in alone


def test_a_name_that_turns_letters_around_leaves_what_stands_beside_it() -> None:
    """U+202E in a file name would show "said → true" for "true → said"."""
    one, drawn = evaluated(30, mistakes=1), EncodedPicture("image/png", 3, 2, b"x")
    item = LabelledItem(Path("a/\u202epig.jpg"), 0)
    mistake = Mistake(item, 1, 0.9, 0.1, drawn, drawn, drawn)

    page = evaluation_page(Evaluation("f", (replace(one, mistakes=(mistake,)),)), "en").decode()

    assert '<bdi class="file">a/\u202epig.jpg</bdi>' in page
    assert "<bdi>a</bdi> → <bdi>b</bdi>" in page


@pytest.mark.parametrize("language", ["en", "ko"])
def test_percents_and_ranges_are_written_one_way(language: str) -> None:
    """As the language writes them: 95 % and "a to b" in English, 95% and a~b in Korean."""
    audit = Audit(CLASSES, (30, 30), (), asked="m/1", group_scores=(GroupScore("day", "x", 60, 57),))

    text = text_of(Evaluation("f", (evaluated(30, mistakes=3),), audits=(audit,)), language)

    found = re.findall(r"\d( ?)%", text)
    assert len(found) > 10
    assert set(found) == ({" "} if language == "en" else {""})
    assert not re.search(r"\d%? ?(?:-|~ )\d", text.replace("0 - 1", ""))
