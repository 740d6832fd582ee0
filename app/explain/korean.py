"""Korean particles: which form follows a word depends on whether its last syllable ends in a consonant.

"boar", "을/를" -> "boar를"; "암", "을/를" -> "암을"; "0.41", "으로/로" -> "0.41로"

Hangul tells its own ending; digits are read out in Korean. For words in Latin letters the spelling is a guess at
the sound that Korean gives them; a word of which nothing can be told gets both forms, as in print: "을(를)".
"""

import re
import unicodedata
from typing import Literal

Particle = Literal["은/는", "이/가", "을/를", "과/와", "으로/로"]
"""The form after a consonant, and the one after a vowel."""

_Ending = Literal["vowel", "consonant", "rieul", "unknown"]

_DIGITS: dict[str, _Ending] = {
    "0": "consonant",  # 영
    "1": "rieul",  # 일
    "2": "vowel",  # 이
    "3": "consonant",  # 삼
    "4": "vowel",  # 사
    "5": "vowel",  # 오
    "6": "consonant",  # 육
    "7": "rieul",  # 칠
    "8": "rieul",  # 팔
    "9": "vowel",  # 구
}
_CONSONANT_LETTERS: dict[str, _Ending] = {"l": "rieul", "m": "consonant", "n": "consonant", "r": "rieul"}
"""Letters whose names end in a consonant: 엘, 엠, 엔, 알. All others' end in a vowel."""


def with_particle(word: str, particle: Particle) -> str:
    """The word and the right form of the particle, written together.

    Marks after the word, such as a closing bracket, are not spoken and decide nothing.
    """
    after_consonant, after_vowel = particle.split("/")
    ending = _ending(word)
    if ending == "unknown":
        both = "(으)로" if particle == "으로/로" else f"{after_consonant}({after_vowel})"
        return word + both
    has_consonant = ending == "consonant" or (ending == "rieul" and particle != "으로/로")  # 서울로, 1로
    return word + (after_consonant if has_consonant else after_vowel)


def _ending(word: str) -> _Ending:
    spoken = unicodedata.normalize("NFC", word).rstrip()
    spoken = re.sub(r"([^\w%+]|_)+$", "", spoken)
    last = spoken[-1:]
    if last in {"%", "+"}:
        return "vowel"  # 퍼센트; 플러스, as in the grades 1+ and 1++
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return "vowel" if final == 0 else "rieul" if final == 8 else "consonant"
    latin = re.search(r"[A-Za-z]+$", spoken)
    return _latin_ending(latin[0]) if latin else _DIGITS.get(last, "unknown")


def _latin_ending(word: str) -> _Ending:
    """How Korean hears the end of an English word: female 피메일, machine 머신, cat 캣, boar 보어, castrate -트."""
    if len(word) <= 2 or (word.isupper() and len(word) <= 4):  # spelt out: OK 오케이, NG 엔지, LED 엘이디
        return _CONSONANT_LETTERS.get(word[-1].lower(), "vowel")
    if re.search(r"[^aeiou]le$", word, re.IGNORECASE):  # table 테이블, title 타이틀
        return "rieul"
    stem = re.sub(r"(?<=[aeiouy][lmn])e$", "", word.lower())  # a silent e
    if stem.endswith("l"):
        return "rieul"
    # A short vowel before p, t, k closes the syllable: cup 컵, cat 캣, crack 크랙; elsewhere an 으 or 이 follows.
    is_closed = re.search(r"(m|n|ng|good|(^|[^aeiou])([aeiou]|oo)(p|t|k|ck))$", stem)
    return "consonant" if is_closed else "vowel"
