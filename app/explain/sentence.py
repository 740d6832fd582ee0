"""One plain sentence that says what the numbers say, and nothing more.

Finding (regions, cover check, share inside the region of interest) + labels -> sentence -> str

English and Korean. A rounded number never claims more than the true one: 99.6 % is "over 99 %", 0.998 is "over
0.99". Knows no manifest: the labels that people read come from the caller.
"""

from dataclasses import dataclass
from typing import Literal

from app.domain import Size
from app.explain.cover import HARDLY, MAX_OVERLAP, CoverCheck
from app.explain.korean import with_particle
from app.explain.regions import Region, Regions
from app.explain.rounding import bounded

Language = Literal["en", "ko"]

SPREAD = 0.5
"""A region over more than this share of the map is no place; its evidence is called spread."""
SECOND = 0.25
"""Another region is told of from this share of the first one's evidence on."""
MAX_TOLD = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one map."""

    regions: Regions
    picture: Size
    """Pixels."""
    is_exact: bool
    """Only an exact map shares out the evidence; of a gradient it is only said what the map marks."""
    cover: CoverCheck | None = None
    """Of the first region."""
    share_inside: float | None = None
    """Of the region of interest, 0..1; None where nobody named one."""

    @property
    def told(self) -> tuple[Region, ...]:
        """The regions worth a word: the first, and others that come near it."""
        regions = self.regions.regions
        return tuple(region for region in regions[:MAX_TOLD] if region.share >= SECOND * regions[0].share)

    @property
    def is_spread(self) -> bool:
        """Whether the first region is most of the map."""
        return bool(self.told) and self.told[0].area_fraction > SPREAD

    def shares_by_place(self) -> dict[int, float]:
        """Place in a 3 x 3 grid of the picture, 0..8 row by row -> share of the told regions centred there."""
        shares: dict[int, float] = {}
        for region in self.told:
            column = min(max(int(3 * region.centre[0] / self.picture.width), 0), 2)
            row = min(max(int(3 * region.centre[1] / self.picture.height), 0), 2)
            shares[3 * row + column] = shares.get(3 * row + column, 0.0) + region.share
        return shares


def sentence(finding: Finding, language: Language, *, label: str, against: str | None = None) -> str:
    """The finding in words.

    Args:
        finding: of the map of `label`, or of `label` against `against`.
        language: of the sentence.
        label: how people call the target class in that language.
        against: how they call the class it is compared with, where the map is a contrast.
    """
    return (_english if language == "en" else _korean)(finding, label, against)


# --- numbers -----------------------------------------------------------------------------------


def _english_number(value: float) -> str:
    number, side = bounded(value, 2)
    return f"{side} {number}".strip()


def _english_share(value: float, *, over: str = "over") -> str:
    number, side = bounded(value, 2)
    return f"{over if side == 'over' else side} {float(number) * 100:.0f} %".strip()


_KOREAN_SIDES = {"over": " 초과", "under": " 미만", "": ""}


def _korean_number(value: float) -> str:
    number, side = bounded(value, 2)
    return number + _KOREAN_SIDES[side]


def _korean_share(value: float) -> str:
    number, side = bounded(value, 2)
    return f"{float(number) * 100:.0f}%{_KOREAN_SIDES[side]}"


# --- English -----------------------------------------------------------------------------------

_ENGLISH_PLACES = (
    *("upper left", "upper centre", "upper right"),
    *("centre left", "centre", "centre right"),
    *("lower left", "lower centre", "lower right"),
)


def _english(finding: Finding, label: str, against: str | None) -> str:
    whom = label if against is None else f"{label} rather than {against}"
    of_what = "the evidence" if finding.is_exact else "what the map marks"
    if finding.regions.status == "no_positive_evidence":
        if finding.is_exact:
            return f"Nothing in this picture speaks for {whom}."
        return f"The map marks nothing for {whom}."
    clauses = [_english_where(finding, f"{of_what} for {whom}")]
    if finding.cover is not None and finding.told:
        it = "it" if len(finding.told) == 1 else "the strongest region"
        clauses.append(_english_cover(finding.cover, it, label))
    if finding.share_inside is not None and finding.share_inside < 0.5:
        clauses.append(f"most of {of_what} lies outside the expected region")
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _english_where(finding: Finding, evidence: str) -> str:
    if finding.regions.status == "even":
        return f"{evidence} is spread evenly and no place stands out"
    if not finding.told:
        return f"{evidence} is scattered and no region stands out"
    top = finding.told[0]
    if finding.is_spread:
        area = _english_share(top.area_fraction, over="more than")  # "spread over over 99 %" is no English
        return f"{_english_share(top.share)} of {evidence} is spread over {area} of the map"
    places = [
        (_english_share(share), _ENGLISH_PLACES[place]) for place, share in finding.shares_by_place().items()
    ]
    if len(places) == 1:
        [(share, place)] = places
        count = "one region" if len(finding.told) == 1 else f"{len(finding.told)} regions"
        return f"{share} of {evidence} lies in {count}, {place}"
    (share, place), *others = places
    *some, last = [f"{share} in the {place}" for share, place in others]
    return f"of {evidence}, {', '.join([f'{share} lies in the {place}', *some])} and {last}"


def _english_cover(cover: CoverCheck, it: str, label: str) -> str:
    before, after = _english_number(cover.probability), _english_number(cover.without_region)
    control = _english_number(cover.without_random)
    match cover.verdict:
        case "raises":
            return f"yet covering {it} raises {label} from {before} to {after}"
        case "nothing_to_lose":
            return f"{label} is too improbable ({before}) for covering {it} to show anything"
        case "hardly_changes" if before == after:
            return f"yet covering {it} leaves {label} at {before}"
        case "hardly_changes":
            return f"yet covering {it} hardly changes {label}, from {before} to {after}"
        case "no_better_than_random":
            return (
                f"covering {it} drops {label} from {before} to {after}, but covering an equally large random "
                f"region does as much ({control}), so this check does not support the map"
            )
        case "lowers":
            drop = f"covering {it} drops {label} from {before} to {after}"
            return f"{drop}, an equally large random region to {control}" if _tells_control(cover) else drop


def _tells_control(cover: CoverCheck) -> bool:
    """Whether covering another place lowers it too, though less."""
    return cover.random_overlap <= MAX_OVERLAP and cover.probability - cover.without_random >= HARDLY


# --- Korean ------------------------------------------------------------------------------------

_KOREAN_PLACES = (
    *("왼쪽 위", "위쪽 가운데", "오른쪽 위"),
    *("왼쪽", "가운데", "오른쪽"),
    *("왼쪽 아래", "아래쪽 가운데", "오른쪽 아래"),
)
_Endings = tuple[str, str, str]
"""A clause without its verb's ending, the ending before another clause, the ending of the sentence."""


def _korean(finding: Finding, label: str, against: str | None) -> str:
    whom = (
        with_particle(label, "을/를") if against is None else f"{against}보다 {with_particle(label, '을/를')}"
    )
    evidence = f"{whom} 가리키는 근거" if finding.is_exact else f"지도에서 {whom} 나타내는 부분"
    if finding.regions.status == "no_positive_evidence":
        place = "이 사진에는 " if finding.is_exact else ""
        return f"{place}{with_particle(evidence, '이/가')} 없습니다."
    clauses = [_korean_where(finding, evidence)]
    if finding.cover is not None and finding.told:
        it = "그 영역을" if len(finding.told) == 1 else "가장 강한 영역을"
        clauses.append(_korean_cover(finding.cover, it, label))
    if finding.share_inside is not None and finding.share_inside < 0.5:
        of_what = "근거" if finding.is_exact else "표시된 부분"
        clauses.append((f"{of_what}의 대부분은 예상 영역 밖에 있", "으며", "습니다"))
    *before, (stem, _, last) = clauses
    return "".join(f"{text}{joining}, " for text, joining, _ in before) + f"{stem}{last}."


def _korean_where(finding: Finding, evidence: str) -> _Endings:
    subject = with_particle(evidence, "이/가")
    if finding.regions.status == "even":
        return f"{subject} 고르게 퍼져 있어 두드러진 곳이 없", "으며", "습니다"
    if not finding.told:
        return f"{subject} 흩어져 있어 두드러진 영역이 없", "으며", "습니다"
    top = finding.told[0]
    if finding.is_spread:
        share = with_particle(_korean_share(top.share), "이/가")
        return f"{evidence}의 {share} 지도의 {_korean_share(top.area_fraction)}에 걸쳐 있", "으며", "습니다"
    places = [
        (_korean_share(share), _KOREAN_PLACES[place]) for place, share in finding.shares_by_place().items()
    ]
    if len(places) == 1:
        [(share, place)] = places
        count = "한 영역에" if len(finding.told) == 1 else f"{len(finding.told)}개 영역에"
        return f"{evidence}의 {with_particle(share, '이/가')} {place} {count} 있", "으며", "습니다"
    parts = ", ".join(f"{with_particle(share, '은/는')} {place}" for share, place in places)
    return f"{evidence} 중 {parts}에 있", "으며", "습니다"


def _korean_cover(cover: CoverCheck, it: str, label: str) -> _Endings:
    before = _korean_number(cover.probability)
    after = _korean_number(cover.without_region)
    to_after = with_particle(after, "으로/로")
    control = _korean_number(cover.without_random)
    match cover.verdict:
        case "raises":
            return f"{it} 가리면 {label}의 확률이 오히려 {before}에서 {to_after} 오", "르며", "릅니다"
        case "nothing_to_lose":
            return f"{label}의 확률({before})이 너무 낮아 {it} 가려도 알 수 있는 것이 없", "으며", "습니다"
        case "hardly_changes" if before == after:
            return f"{it} 가려도 {label}의 확률은 여전히 {before}", "이며", "입니다"
        case "hardly_changes":
            return f"{it} 가려도 {label}의 확률은 {before}에서 {to_after} 거의 변하지 않", "으며", "습니다"
        case "no_better_than_random":
            return (
                f"{it} 가리면 {label}의 확률이 {before}에서 {to_after} 떨어지지만 같은 크기의 임의 영역을 가려도 "
                f"그만큼({control}) 떨어지므로 이 검사는 지도를 뒷받침하지 않",
                "으며",
                "습니다",
            )
        case "lowers":
            drop = f"{it} 가리면 {label}의 확률이 {before}에서 {to_after}"
            if _tells_control(cover):
                drop += f", 같은 크기의 임의 영역을 가리면 {with_particle(control, '으로/로')}"
            return f"{drop} 떨어", "지며", "집니다"
