"""Words of the report of explanations."""

import string
from dataclasses import fields

from app.reports.words import WORDS


def test_mostly_outside_counts_pictures_of_all_in_both_languages() -> None:
    """3 of 12 lie mostly outside; not 3 of the 12 that do."""
    said = {
        language: words.where_inside.format(share="40%", outside=3, count=12)
        for language, words in WORDS.items()
    }

    assert "mostly outside in 3 of 12" in said["en"]
    assert "사진 12장 중 3장은 근거 대부분이 영역 밖" in said["ko"]


def test_both_languages_ask_for_the_same_numbers() -> None:
    """A placeholder that one of them lacks would fail only when it is shown."""
    for field in fields(WORDS["en"]):
        asked = [
            {
                name
                for _, name, _, _ in string.Formatter().parse(getattr(words, field.name))
                if name is not None
            }
            for words in WORDS.values()
        ]
        assert asked[0] == asked[1], field.name
