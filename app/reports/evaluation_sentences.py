"""What an evaluation says in sentences, in English and Korean: for a page and a terminal.

Met, McNemar + language -> sentences
"""

from collections.abc import Mapping
from typing import Final

from app.evaluation.evaluated import LEAST_PER_CLASS
from app.evaluation.origins import Met
from app.evaluation.significance import McNemar
from app.explain.korean import with_particle
from app.explain.sentence import Language
from app.reports.evaluation_words import Words, words_of
from app.reports.numbers import percent, pictures

MAX_NAMED: Final = 6
"""Classes that a sentence names."""


def met_sentence(met: Met, asked: int, words: Words) -> str | None:
    """That the model knows some of so many pictures already; None where it knows none."""
    count = met.trained_on or met.chosen_by
    if not count:
        return None
    text = words.trained_on if met.trained_on else words.chosen_by
    return text.format(pictures=pictures(count, words.language), count=f"{asked:,}")


def no_claim(scarce: Mapping[str, int], language: Language, *, of_groups: bool = False) -> str:
    """That no accuracy is claimed, and of which classes there are too few pictures, or groups of them.

    Args:
        scarce: label -> how many there are.
        language: of the sentence.
        of_groups: whether groups were counted.
    """
    words = words_of(language)
    named = [f"{label} ({count})" for label, count in list(scarce.items())[:MAX_NAMED]]
    if len(scarce) > MAX_NAMED:
        named.append(f"+{len(scarce) - MAX_NAMED}")
    text = words.no_claim_of_groups if of_groups else words.no_claim
    return text.format(least=LEAST_PER_CLASS, classes=", ".join(named))


def verdict(test: McNemar, first: str, second: str, language: Language) -> str:
    """What McNemar's test says, in plain words."""
    chance = percent(test.chance, language)
    if language == "ko":
        method = {
            "exact": "맥니마 정확 이항 검정",
            "mid-p": "맥니마 mid-p 검정",
            "sign-flip": f"그룹 {test.groups}개의 부호 뒤집기 검정",
        }[test.method]
        if not test.first_only + test.second_only:
            return f"{with_particle(first, '과/와')} {with_particle(second, '은/는')} 같은 사진에서 맞고 틀립니다."
        better = "유의한 차이입니다" if test.is_significant else "유의하지 않습니다"
        return (
            f"{with_particle(second, '이/가')} 틀린 사진 중 {test.first_only}장을 {with_particle(first, '이/가')} 맞혔고, "
            f"반대는 {test.second_only}장입니다. 이런 차이가 우연히 생길 확률은 {chance}로, {better} "
            f"({method})."
        )
    method = {
        "exact": "McNemar's test, exact binomial",
        "mid-p": "McNemar's test, mid-p",
        "sign-flip": f"sign-flip test over {test.groups} groups",
    }[test.method]
    if not test.first_only + test.second_only:
        return (
            f"{first} and {second} are right and wrong on the same pictures: nothing tells which is better."
        )
    better = first if test.first_only > test.second_only else second
    ending = f"significant, {better} is better" if test.is_significant else "not significant"
    return (
        f"{first} is right on {pictures(test.first_only, language)} where {second} is wrong, and wrong on {test.second_only} where it is "
        f"right; such a difference comes by chance in {chance} of cases: {ending} ({method})."
    )
