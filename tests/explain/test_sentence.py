"""Every kind of finding, in words: one table per language, read as people would."""

import re
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import Size
from app.explain.cover import CoverCheck
from app.explain.korean import with_particle
from app.explain.regions import Region, Regions
from app.explain.sentence import Finding, sentence

PICTURE = Size(300, 600)
LOWER_LEFT, CENTRE, UPPER_RIGHT = (100.0, 250.0), (300.0, 150.0), (500.0, 50.0)


def region(share: float, centre: tuple[float, float] = LOWER_LEFT, area: float = 0.1) -> Region:
    return Region(box=None, peak=centre, centre=centre, area_fraction=area, share=share, contribution=share)


def finding(*found: Region, status: Any = "ok", is_exact: bool = True, **more: Any) -> Finding:
    regions = Regions(
        regions=found, rest=0.0, status=status, labels=np.zeros((1, 1), np.uint8), samples_per_cell=1
    )
    return Finding(regions, PICTURE, is_exact, **more)


def cover(before: float, after: float, control: float | None = None, overlap: float = 0.0) -> CoverCheck:
    return CoverCheck(before, after, 0.9, before if control is None else control, 0.1, overlap)


ONE = region(0.61)
TWO = (region(0.4), region(0.15, CENTRE))
THREE = (region(0.4), region(0.3, CENTRE), region(0.2, UPPER_RIGHT), region(0.02))
CASES = [
    pytest.param(
        finding(ONE),
        "61 % of the evidence for boar lies in one region, lower left.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있습니다.",
        id="one region",
    ),
    pytest.param(
        finding(ONE, cover=cover(0.98, 0.41)),
        "61 % of the evidence for boar lies in one region, lower left; covering it drops boar from 0.98 to 0.41.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 그 영역을 가리면 수의 확률이 0.98에서 0.41로 "
        "떨어집니다.",
        id="one region that matters",
    ),
    pytest.param(
        finding(ONE, cover=cover(0.998, 0.43, 0.7)),
        "61 % of the evidence for boar lies in one region, lower left; covering it drops boar from over 0.99 to "
        "0.43, an equally large random region to 0.70.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 그 영역을 가리면 수의 확률이 0.99 초과에서 0.43으로, "
        "같은 크기의 임의 영역을 가리면 0.70으로 떨어집니다.",
        id="a random region matters less",
    ),
    pytest.param(
        finding(ONE, cover=cover(0.98, 0.41, 0.40)),
        "61 % of the evidence for boar lies in one region, lower left; covering it drops boar from 0.98 to 0.41, "
        "but covering an equally large random region does as much (0.40), so this check does not support the map.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 그 영역을 가리면 수의 확률이 0.98에서 0.41로 "
        "떨어지지만 같은 크기의 임의 영역을 가려도 그만큼(0.40) 떨어지므로 이 검사는 지도를 뒷받침하지 않습니다.",
        id="a random region matters as much",
    ),
    pytest.param(
        finding(ONE, cover=cover(0.98, 0.41, 0.40, overlap=0.6)),
        "61 % of the evidence for boar lies in one region, lower left; covering it drops boar from 0.98 to 0.41.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 그 영역을 가리면 수의 확률이 0.98에서 0.41로 "
        "떨어집니다.",
        id="no room for a control",
    ),
    pytest.param(
        finding(ONE, cover=cover(0.98, 0.95)),
        "61 % of the evidence for boar lies in one region, lower left; yet covering it hardly changes boar, from "
        "0.98 to 0.95.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 그 영역을 가려도 수의 확률은 0.98에서 0.95로 거의 "
        "변하지 않습니다.",
        id="covering hardly matters",
    ),
    pytest.param(
        finding(ONE, cover=cover(0.999, 0.9985)),
        "61 % of the evidence for boar lies in one region, lower left; yet covering it leaves boar at over 0.99.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 그 영역을 가려도 수의 확률은 여전히 0.99 초과입니다.",
        id="covering does not matter",
    ),
    pytest.param(
        finding(ONE, cover=cover(0.4, 0.7)),
        "61 % of the evidence for boar lies in one region, lower left; yet covering it raises boar from 0.40 to "
        "0.70.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 그 영역을 가리면 수의 확률이 오히려 0.40에서 "
        "0.70으로 오릅니다.",
        id="covering helps",
    ),
    pytest.param(
        finding(ONE, cover=cover(0.001, 0.001)),
        "61 % of the evidence for boar lies in one region, lower left; boar is too improbable (under 0.01) for "
        "covering it to show anything.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 수의 확률(0.01 미만)이 너무 낮아 그 영역을 가려도 알 수 "
        "있는 것이 없습니다.",
        id="nothing to lose",
    ),
    pytest.param(
        finding(ONE, share_inside=0.3),
        "61 % of the evidence for boar lies in one region, lower left; most of the evidence lies outside the "
        "expected region.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 근거의 대부분은 예상 영역 밖에 있습니다.",
        id="outside the expected region",
    ),
    pytest.param(
        finding(ONE, share_inside=0.5),
        "61 % of the evidence for boar lies in one region, lower left.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있습니다.",
        id="half of it outside is not most",
    ),
    pytest.param(
        finding(ONE, cover=cover(0.98, 0.41), share_inside=0.1),
        "61 % of the evidence for boar lies in one region, lower left; covering it drops boar from 0.98 to 0.41; "
        "most of the evidence lies outside the expected region.",
        "수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 그 영역을 가리면 수의 확률이 0.98에서 0.41로 떨어지며, "
        "근거의 대부분은 예상 영역 밖에 있습니다.",
        id="all at once",
    ),
    pytest.param(
        finding(*TWO, cover=cover(0.98, 0.003)),
        "Of the evidence for boar, 40 % lies in the lower left and 15 % in the centre; covering the strongest "
        "region drops boar from 0.98 to under 0.01.",
        "수를 가리키는 근거 중 40%는 왼쪽 아래, 15%는 가운데에 있으며, 가장 강한 영역을 가리면 수의 확률이 0.98에서 "
        "0.01 미만으로 떨어집니다.",
        id="two regions",
    ),
    pytest.param(
        finding(*THREE),
        "Of the evidence for boar, 40 % lies in the lower left, 30 % in the centre and 20 % in the upper right.",
        "수를 가리키는 근거 중 40%는 왼쪽 아래, 30%는 가운데, 20%는 오른쪽 위에 있습니다.",
        id="three regions and a crumb",
    ),
    pytest.param(
        finding(region(0.4), region(0.15)),
        "55 % of the evidence for boar lies in 2 regions, lower left.",
        "수를 가리키는 근거의 55%가 왼쪽 아래 2개 영역에 있습니다.",
        id="two regions in one place",
    ),
    pytest.param(
        finding(region(0.9), region(0.1, CENTRE)),
        "90 % of the evidence for boar lies in one region, lower left.",
        "수를 가리키는 근거의 90%가 왼쪽 아래 한 영역에 있습니다.",
        id="a second region too weak to tell",
    ),
    pytest.param(
        finding(region(0.996)),
        "Over 99 % of the evidence for boar lies in one region, lower left.",
        "수를 가리키는 근거의 99% 초과가 왼쪽 아래 한 영역에 있습니다.",
        id="nearly all",
    ),
    pytest.param(
        finding(region(1.0)),
        "100 % of the evidence for boar lies in one region, lower left.",
        "수를 가리키는 근거의 100%가 왼쪽 아래 한 영역에 있습니다.",
        id="all",
    ),
    pytest.param(
        finding(region(0.93, CENTRE, area=0.62)),
        "93 % of the evidence for boar is spread over 62 % of the map.",
        "수를 가리키는 근거의 93%가 지도의 62%에 걸쳐 있습니다.",
        id="one region that is no place",
    ),
    pytest.param(
        finding(region(0.998, CENTRE, area=0.996)),
        "Over 99 % of the evidence for boar is spread over more than 99 % of the map.",
        "수를 가리키는 근거의 99% 초과가 지도의 99% 초과에 걸쳐 있습니다.",
        id="nearly all of it over nearly all of the map",
    ),
    pytest.param(
        finding(status="no_positive_evidence"),
        "Nothing in this picture speaks for boar.",
        "이 사진에는 수를 가리키는 근거가 없습니다.",
        id="nothing",
    ),
    pytest.param(
        finding(status="even", share_inside=0.2),
        "The evidence for boar is spread evenly and no place stands out; most of the evidence lies outside the "
        "expected region.",
        "수를 가리키는 근거가 고르게 퍼져 있어 두드러진 곳이 없으며, 근거의 대부분은 예상 영역 밖에 있습니다.",
        id="even",
    ),
    pytest.param(
        finding(),
        "The evidence for boar is scattered and no region stands out.",
        "수를 가리키는 근거가 흩어져 있어 두드러진 영역이 없습니다.",
        id="scattered",
    ),
]
GRADIENT_CASES = [
    pytest.param(
        finding(ONE, is_exact=False, cover=cover(0.98, 0.41), share_inside=0.1),
        "61 % of what the map marks for boar lies in one region, lower left; covering it drops boar from 0.98 to "
        "0.41; most of what the map marks lies outside the expected region.",
        "지도에서 수를 나타내는 부분의 61%가 왼쪽 아래 한 영역에 있으며, 그 영역을 가리면 수의 확률이 0.98에서 0.41로 "
        "떨어지며, 표시된 부분의 대부분은 예상 영역 밖에 있습니다.",
        id="one region",
    ),
    pytest.param(
        finding(*TWO, is_exact=False),
        "Of what the map marks for boar, 40 % lies in the lower left and 15 % in the centre.",
        "지도에서 수를 나타내는 부분 중 40%는 왼쪽 아래, 15%는 가운데에 있습니다.",
        id="two regions",
    ),
    pytest.param(
        finding(is_exact=False, status="no_positive_evidence"),
        "The map marks nothing for boar.",
        "지도에서 수를 나타내는 부분이 없습니다.",
        id="nothing",
    ),
    pytest.param(
        finding(is_exact=False, status="even"),
        "What the map marks for boar is spread evenly and no place stands out.",
        "지도에서 수를 나타내는 부분이 고르게 퍼져 있어 두드러진 곳이 없습니다.",
        id="even",
    ),
    pytest.param(
        finding(is_exact=False),
        "What the map marks for boar is scattered and no region stands out.",
        "지도에서 수를 나타내는 부분이 흩어져 있어 두드러진 영역이 없습니다.",
        id="scattered",
    ),
]


@pytest.mark.parametrize(("found", "english", "korean"), [*CASES, *GRADIENT_CASES])
def test_a_finding_is_one_plain_sentence(found: Finding, english: str, korean: str) -> None:
    assert sentence(found, "en", label="boar") == english
    assert sentence(found, "ko", label="수") == korean


@pytest.mark.parametrize(
    ("found", "english", "korean"),
    [
        (
            finding(ONE, cover=cover(0.98, 0.41)),
            "61 % of the evidence for boar rather than female lies in one region, lower left; covering it drops "
            "boar from 0.98 to 0.41.",
            "암보다 수를 가리키는 근거의 61%가 왼쪽 아래 한 영역에 있으며, 그 영역을 가리면 수의 확률이 0.98에서 0.41로 "
            "떨어집니다.",
        ),
        (
            finding(status="no_positive_evidence"),
            "Nothing in this picture speaks for boar rather than female.",
            "이 사진에는 암보다 수를 가리키는 근거가 없습니다.",
        ),
        (
            finding(status="no_positive_evidence", is_exact=False),
            "The map marks nothing for boar rather than female.",
            "지도에서 암보다 수를 나타내는 부분이 없습니다.",
        ),
    ],
)
def test_a_contrast_names_both_classes(found: Finding, english: str, korean: str) -> None:
    assert sentence(found, "en", label="boar", against="female") == english
    assert sentence(found, "ko", label="수", against="암") == korean


@pytest.mark.parametrize(
    ("x", "y", "english", "korean"),
    [
        (-5, -5, "upper left", "왼쪽 위"),
        (300, 99, "upper centre", "위쪽 가운데"),
        (401, 0, "upper right", "오른쪽 위"),
        (199, 150, "centre left", "왼쪽"),
        (200, 100, "centre", "가운데"),
        (600, 199, "centre right", "오른쪽"),
        (0, 201, "lower left", "왼쪽 아래"),
        (399, 300, "lower centre", "아래쪽 가운데"),
        (999, 999, "lower right", "오른쪽 아래"),
    ],
)
def test_a_place_is_a_ninth_of_the_picture(x: float, y: float, english: str, korean: str) -> None:
    found = finding(region(0.61, (x, y)))

    assert sentence(found, "en", label="boar").endswith(f"in one region, {english}.")
    assert f"61%가 {korean} 한 영역에" in sentence(found, "ko", label="수")


@given(
    share=st.floats(0.02, 1.0),
    before=st.floats(0.0, 1.0),
    after=st.floats(0.0, 1.0),
    control=st.floats(0.0, 1.0),
)
def test_no_rounded_number_claims_more_than_the_true_one(
    share: float, before: float, after: float, control: float
) -> None:
    found = finding(region(share), cover=cover(before, after, control))

    for language, label in (("en", "boar"), ("ko", "수")):
        text = sentence(found, language, label=label)  # type: ignore[arg-type]
        assert ("100 %" in text or "100%" in text) == (share == 1.0)
        if 1.0 not in (before, after, control):
            assert "1.00" not in text
        if 0.0 not in (before, after, control):
            assert "0.00" not in text
        assert re.fullmatch(r"[^.]*(?:\d\.\d\d[^.]*)*\.", text), "one sentence, with one full stop"


@pytest.mark.parametrize(
    ("word", "object_", "subject", "towards"),
    [
        ("수", "수를", "수가", "수로"),
        ("암", "암을", "암이", "암으로"),
        ("거세", "거세를", "거세가", "거세로"),
        ("서울", "서울을", "서울이", "서울로"),
        ("0.41", "0.41을", "0.41이", "0.41로"),
        ("0.40", "0.40을", "0.40이", "0.40으로"),
        ("0.42", "0.42를", "0.42가", "0.42로"),
        ("0.48", "0.48을", "0.48이", "0.48로"),
        ("61%", "61%를", "61%가", "61%로"),
        ("class 7", "class 7을", "class 7이", "class 7로"),
        ("boar", "boar를", "boar가", "boar로"),
        ("castrate", "castrate를", "castrate가", "castrate로"),
        ("female", "female을", "female이", "female로"),
        ("cat", "cat을", "cat이", "cat으로"),
        ("dog", "dog를", "dog가", "dog로"),
        ("crack", "crack을", "crack이", "crack으로"),
        ("table", "table을", "table이", "table로"),
        ("machine", "machine을", "machine이", "machine으로"),
        ("missing", "missing을", "missing이", "missing으로"),
        ("good", "good을", "good이", "good으로"),
        ("OK", "OK를", "OK가", "OK로"),
        ("ng", "ng를", "ng가", "ng로"),
        ("LED", "LED를", "LED가", "LED로"),
        ("PCM", "PCM을", "PCM이", "PCM으로"),
        ("1+", "1+를", "1+가", "1+로"),
        ("돼지(1++)", "돼지(1++)를", "돼지(1++)가", "돼지(1++)로"),
        ("수(A등급)", "수(A등급)을", "수(A등급)이", "수(A등급)으로"),
        ("猪", "猪을(를)", "猪이(가)", "猪(으)로"),
        ("?", "?을(를)", "?이(가)", "?(으)로"),
    ],
)
def test_korean_particles_follow_the_sound(word: str, object_: str, subject: str, towards: str) -> None:
    assert with_particle(word, "을/를") == object_
    assert with_particle(word, "이/가") == subject
    assert with_particle(word, "으로/로") == towards


def test_decomposed_hangul_sounds_the_same() -> None:
    """As file systems of another kind write it: one sign for each sound."""
    decomposed = unicodedata.normalize("NFD", "암")

    assert len(decomposed) == 3
    assert with_particle(decomposed, "을/를") == f"{decomposed}을"


def test_a_label_in_latin_letters_has_its_particle_too() -> None:
    assert sentence(finding(ONE), "ko", label="boar").startswith("boar를 가리키는 근거의 61%가")
    assert sentence(finding(ONE), "ko", label="female").startswith("female을 가리키는")
