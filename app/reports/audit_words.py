"""What an audit found, in sentences: the same for a terminal and a page, in English and Korean.

Audit + language -> findings -> a warning or a note each
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from app.evaluation.audit import Audit
from app.evaluation.facts import FACTS, Amount, Fact
from app.evaluation.robustness import PaintedOver, What
from app.evaluation.shortcuts import UNKNOWN, Association, Ordering, Separation
from app.explain.korean import with_particle
from app.explain.rounding import figure
from app.explain.sentence import Language
from app.reports.numbers import percent, pictures

Severity = Literal["warning", "note"]

MAX_NAMED: Final = 4
"""Groups that a sentence names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and whether it should worry."""

    severity: Severity
    text: str
    is_of_model: bool = False
    """Whether it says something of the model, not of the folder."""


FACT_WORDS: Final[Mapping[Language, Mapping[Fact, str]]] = {
    "en": {
        "day": "day",
        "camera": "camera",
        "file_kind": "kind of file",
        "folder": "folder",
        "name": "pattern of the file name",
    },
    "ko": {
        "day": "촬영일",
        "camera": "카메라",
        "file_kind": "파일 종류",
        "folder": "폴더",
        "name": "파일 이름 형식",
    },
}
WHAT_WORDS: Final[Mapping[Language, Mapping[What, str]]] = {
    "en": {"ink": "ink marks", "backdrop": "backdrop"},
    "ko": {"ink": "잉크 표시", "backdrop": "배경"},
}
_UNSAID: Final[Mapping[Language, str]] = {"en": "not recorded", "ko": "기록 없음"}
"""The group of pictures that say nothing of a fact."""
_APART: Final[Mapping[Fact, str]] = {
    "day": "was photographed on another day than",
    "camera": "was photographed with another camera than",
    "file_kind": "is another kind of file than",
    "folder": "lies in another folder than",
    "name": "has another kind of name than",
}
_APART_KO: Final[Mapping[Fact, str]] = {
    "day": "다른 날에 촬영되었습니다",
    "camera": "다른 카메라로 촬영되었습니다",
    "file_kind": "종류가 다른 파일입니다",
    "folder": "다른 폴더에 있습니다",
    "name": "파일 이름의 형식이 다릅니다",
}
_COVERED_BY: Final[Mapping[Amount, Fact]] = {
    "date": "day",
    "time": "day",
    "width": "file_kind",
    "shape": "file_kind",
    "bytes": "file_kind",
}
"""The fact whose table says the same, where it says anything."""
_MORE: Final[Mapping[Amount, tuple[str, str]]] = {
    "date": ("was photographed on an earlier day than", "was photographed on a later day than"),
    "time": ("was photographed earlier in the day than", "was photographed later in the day than"),
    "width": ("has fewer pixels across than", "has more pixels across than"),
    "shape": ("is a narrower picture than", "is a wider picture than"),
    "bytes": ("is a smaller file than", "is a larger file than"),
}
"""Less, more."""
_MORE_KO: Final[Mapping[Amount, tuple[str, str]]] = {
    "date": ("더 이른 날에 촬영되었습니다", "더 늦은 날에 촬영되었습니다"),
    "time": ("하루 중 더 이른 시각에 촬영되었습니다", "하루 중 더 늦은 시각에 촬영되었습니다"),
    "width": ("가로 픽셀이 더 적습니다", "가로 픽셀이 더 많습니다"),
    "shape": ("더 좁은 사진입니다", "더 넓은 사진입니다"),
    "bytes": ("더 작은 파일입니다", "더 큰 파일입니다"),
}
_SEEN: Final[frozenset[Fact]] = frozenset({"day", "camera", "file_kind"})
"""Facts that leave a trace in the pixels; names and folders only hint at one."""


def findings(audit: Audit, language: Language, labels: Mapping[str, str] | None = None) -> list[Finding]:
    """Warnings first.

    Args:
        audit: of a folder, and of a model where one was asked.
        language: of the sentences.
        labels: class -> what people read.
    """
    words = _Korean(labels or {}) if language == "ko" else _English(labels or {})
    found = [finding for each in audit.associations for finding in _of_association(each, words)]
    told = {each.fact for each in audit.associations if each.strength in {"confounded", "leaning"}}
    found += [
        Finding("note" if each.amount == "bytes" else "warning", words.in_order(each))
        for each in audit.orderings
        if each.is_strong and _COVERED_BY[each.amount] not in told
    ]
    known = {each.fact for each in audit.associations}
    found += [Finding("note", words.unknown(fact)) for fact in FACTS if fact in {"day", "camera"} - known]
    found += [
        Finding("warning" if each.is_leant_on else "note", words.painted(each), is_of_model=True)
        for each in audit.painted
        if each.count
    ]
    found += [Finding("note", words.nothing_to_paint(each)) for each in audit.painted if not each.count]
    for name, place in (audit.places or {}).items():
        seen = place.count - place.without_evidence
        if audit.region is not None and seen and 2 * place.mostly_outside > seen:
            found.append(
                Finding("warning", words.outside(name, place.mostly_outside, seen), is_of_model=True)
            )
    return sorted(found, key=lambda finding: finding.severity != "warning")


def _of_association(each: Association, words: "_English | _Korean") -> list[Finding]:
    severity: Severity = "warning" if each.fact in _SEEN else "note"
    match each.strength:
        case "single":
            is_told = each.fact in {"day", "camera"}
            return [Finding("note", words.single(each.fact, each.table.columns[0]))] if is_told else []
        case "none":
            return []
        case _ if len(each.separations) == len(each.table.rows) > 2:
            return [Finding(severity, words.all_apart(each))]
        case _ if each.separations:
            return [Finding(severity, words.apart(each, separation)) for separation in each.separations]
        case _:
            return [Finding(severity, words.together(each))]


class _English:
    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels

    def name(self, class_name: str) -> str:
        return self._labels.get(class_name, class_name)

    def apart(self, each: Association, separation: Separation) -> str:
        said = (
            f"Every {self.name(separation.class_name)} ({pictures(separation.count, 'en')}) {_APART[each.fact]} every other "
            f"picture: {_named(separation.groups, 'en')}; the others {_named(separation.others, 'en')}. "
        )
        return said + self._meaning(each.fact)

    def all_apart(self, each: Association) -> str:
        own = "; ".join(f"{self.name(one.class_name)} {_named(one.groups, 'en')}" for one in each.separations)
        return f"No two classes share a {FACT_WORDS['en'][each.fact]}: {own}. {self._meaning(each.fact)}"

    def together(self, each: Association) -> str:
        said = (
            f"Class and {FACT_WORDS['en'][each.fact]} go together: Cramér's V {each.cramers_v:.2f} of 1, "
            f"by chance in {percent(each.chance, 'en')} of cases. "
        )
        return said + self._meaning(each.fact)

    def in_order(self, each: Ordering) -> str:
        share = max(each.share_above, 1 - each.share_above)
        said = (
            f"In {percent(share, 'en')} of all pairs, a picture of {self.name(each.class_name)} "
            f"{_MORE[each.amount][each.share_above > 0.5]} one of another class, by chance in "
            f"{percent(each.chance, 'en')} of cases. "
        )
        if each.amount == "bytes":
            return (
                said
                + "That is harmless where the animals differ in size; else they were compressed differently."
            )
        return said + self._meaning(_COVERED_BY[each.amount])

    def _meaning(self, fact: Fact) -> str:
        if fact in _SEEN:
            word = {"day": "day", "camera": "camera", "file_kind": "kind of file"}[fact]
            return (
                f"A model can tell the {word} instead of the animal, and no figure measured on this folder can show "
                "that it does not."
            )
        return "That is harmless where names follow the class; else the classes come from different sources."

    def single(self, fact: Fact, group: str) -> str:
        return (
            f"All pictures are of one {FACT_WORDS['en'][fact]} ({group}): nothing here says how a model answers on "
            "another."
        )

    def unknown(self, fact: Fact) -> str:
        return f"No picture says its {FACT_WORDS['en'][fact]}, so nothing can be said about it."

    def painted(self, each: PaintedOver) -> str:
        word = WHAT_WORDS["en"][each.what]
        said = (
            f"With the {word} painted over, the answer changes in {each.changed} of {pictures(each.count, 'en')} (as many "
            f"random pixels: {each.control_changed}); the probability moves by {figure(each.shift)} on average (random: "
            f"{figure(each.control_shift)}). "
        )
        if each.is_leant_on:
            return said + f"The model uses the {word}."
        return said + f"No sign that the model uses the {word}."

    def nothing_to_paint(self, each: PaintedOver) -> str:
        word = WHAT_WORDS["en"][each.what]
        return f"No {word} found by colour in {pictures(each.looked_at, 'en')}, so nothing was painted over."

    def outside(self, class_name: str, outside: int, count: int) -> str:
        return (
            f"In {outside} of {pictures(count, 'en')} called {self.name(class_name)}, most of the evidence lies outside the "
            "region of interest."
        )


class _Korean:
    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels

    def name(self, class_name: str) -> str:
        return self._labels.get(class_name, class_name)

    def apart(self, each: Association, separation: Separation) -> str:
        name = with_particle(self.name(separation.class_name), "은/는")
        return (
            f"{name} {separation.count}장 모두 나머지 사진과 {_APART_KO[each.fact]}: {_named(separation.groups, 'ko')}, "
            f"나머지 {_named(separation.others, 'ko')}. {self._meaning(each.fact)}"
        )

    def all_apart(self, each: Association) -> str:
        own = "; ".join(f"{self.name(one.class_name)} {_named(one.groups, 'ko')}" for one in each.separations)
        word = with_particle(FACT_WORDS["ko"][each.fact], "이/가")
        return f"{word} 같은 클래스가 하나도 없습니다: {own}. {self._meaning(each.fact)}"

    def together(self, each: Association) -> str:
        word = with_particle(FACT_WORDS["ko"][each.fact], "이/가")
        return (
            f"클래스와 {word} 서로 묶여 있습니다: 크라메르 V {each.cramers_v:.2f} (최대 1), 우연히 그럴 확률 "
            f"{percent(each.chance, 'ko')}. {self._meaning(each.fact)}"
        )

    def in_order(self, each: Ordering) -> str:
        share = max(each.share_above, 1 - each.share_above)
        name = with_particle(self.name(each.class_name), "이/가")
        said = (
            f"다른 클래스의 사진과 짝지으면 {percent(share, 'ko')}에서 {name} {_MORE_KO[each.amount][each.share_above > 0.5]}. "
            f"우연히 그럴 확률은 {percent(each.chance, 'ko')}입니다. "
        )
        if each.amount == "bytes":
            return said + "동물의 크기가 다르다면 문제없지만, 아니라면 다르게 압축되었습니다."
        return said + self._meaning(_COVERED_BY[each.amount])

    def _meaning(self, fact: Fact) -> str:
        if fact in _SEEN:
            word = with_particle(FACT_WORDS["ko"][fact], "을/를")
            return f"모델이 동물 대신 {word} 구별할 수 있으며, 이 폴더에서 잰 어떤 수치로도 그렇지 않다고 말할 수 없습니다."
        return "이름을 클래스에 따라 지었다면 문제없지만, 아니라면 클래스마다 출처가 다릅니다."

    def single(self, fact: Fact, group: str) -> str:
        word = with_particle(FACT_WORDS["ko"][fact], "이/가")
        return f"모든 사진의 {word} 같습니다 ({group}). 다른 경우에 모델이 어떻게 답할지는 알 수 없습니다."

    def unknown(self, fact: Fact) -> str:
        word = with_particle(FACT_WORDS["ko"][fact], "이/가")
        return f"{word} 기록된 사진이 없어 이에 대해서는 아무것도 말할 수 없습니다."

    def painted(self, each: PaintedOver) -> str:
        word = with_particle(WHAT_WORDS["ko"][each.what], "을/를")
        said = (
            f"{word} 칠해 가리면 {each.count}장 중 {each.changed}장의 판정이 바뀝니다 (같은 넓이의 무작위 픽셀: "
            f"{each.control_changed}장). 확률은 평균 {figure(each.shift)} 움직입니다 (무작위: {figure(each.control_shift)}). "
        )
        return said + (
            f"모델이 {word} 이용합니다." if each.is_leant_on else f"모델이 {word} 이용한다는 징후는 없습니다."
        )

    def nothing_to_paint(self, each: PaintedOver) -> str:
        word = with_particle(WHAT_WORDS["ko"][each.what], "을/를")
        return f"사진 {each.looked_at}장에서 {word} 색으로 찾지 못해 가리지 않았습니다."

    def outside(self, class_name: str, outside: int, count: int) -> str:
        name = with_particle(self.name(class_name), "으로/로")
        return f"{name} 판정한 {count}장 중 {outside}장에서 근거 대부분이 관심 영역 밖에 있습니다."


def _named(groups: tuple[str, ...], language: Language) -> str:
    more = len(groups) - MAX_NAMED
    named = [_UNSAID[language] if group == UNKNOWN else group for group in groups[:MAX_NAMED]]
    return ", ".join(named) + (f" +{more}" if more > 0 else "")
