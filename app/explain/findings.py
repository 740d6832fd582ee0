"""What one explanation's map says, in numbers and in words.

Explanation + the picture's size + what is expected of it -> Findings -> one sentence in each language

Knows no networks and no pictures; what covering changes, the caller asks the network.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain import Explanation, RegionOfInterest, Size
from app.explain.cover import CoverCheck
from app.explain.faithfulness import Faithfulness
from app.explain.place import Place, place_of
from app.explain.regions import Regions, find_regions
from app.explain.sentence import Finding, Language, sentence

LANGUAGES: tuple[Language, ...] = ("en", "ko")


@dataclass(frozen=True, slots=True)
class Findings:
    """What stands out, whether it is where it should be, and whether the network needs it."""

    regions: Regions
    place: Place
    expected: RegionOfInterest | None
    """The manifest's region of interest."""
    is_checked: bool = False
    """Whether the network was asked; there may have been no region to cover."""
    cover: CoverCheck | None = None
    faithfulness: Faithfulness | None = None


def find(explanation: Explanation, picture: Size, expected: RegionOfInterest | None) -> Findings:
    """Of the explanation's main map."""
    shown = explanation.map
    return Findings(
        regions=find_regions(shown, explanation.cell_to_picture, explanation.field_of_view, picture),
        place=place_of(
            shown,
            explanation.cell_to_picture,
            picture,
            expected,
            field_of_view=explanation.field_of_view,
        ),
        expected=expected,
    )


def in_words(
    explanation: Explanation, findings: Findings, picture: Size, labels: Mapping[Language, tuple[str, ...]]
) -> dict[Language, str]:
    """One sentence per language; none for a map that is of no class.

    Args:
        explanation: that the findings are of.
        findings: as far as they go.
        picture: its size in pixels.
        labels: what people call the classes, by language, in the order of the logits.
    """
    if explanation.map.unit == "activation":
        return {}
    finding = Finding(
        findings.regions, picture, explanation.is_exact, findings.cover, findings.place.share_inside
    )
    against = explanation.against
    return {
        language: sentence(
            finding,
            language,
            label=names[explanation.target.class_index],
            against=None if against is None else names[against.class_index],
        )
        for language, names in labels.items()
    }
