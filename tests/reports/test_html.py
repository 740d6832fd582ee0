"""The skeleton of a report: nothing of a file's name is markup, nothing is fetched, bad bytes do not stop it."""

from html.parser import HTMLParser
from xml.etree.ElementTree import Element

from app.domain import EncodedPicture
from app.reports.html import append, element, embedded, in_its_language, page, table


class Reader(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(data.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = '<img src=x onerror="alert(1)">&amp;\udcff\x00.jpg'


def test_a_name_is_text_whatever_is_in_it() -> None:
    """Also the half characters that Python makes of a file name's bad bytes, which UTF-8 cannot write."""
    read = Reader(page(element("p", HOSTILE, title=HOSTILE), title=HOSTILE, language="en"))

    assert [tag for tag, _ in read.tags if tag in {"img", "script"}] == []
    assert (
        read.text.count(
            '<img src=x onerror="alert(1)">&amp;\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}.jpg'
        )
        == 2
    )


def test_the_page_allows_itself_nothing_but_its_own_bytes() -> None:
    read = Reader(page(title="t", language="ko"))

    [policy] = [
        values["content"]
        for tag, values in read.tags
        if values.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert ("html", {"lang": "ko"}) in read.tags
    assert "url(" not in read.text
    assert "@import" not in read.text


def test_text_and_elements_keep_their_order() -> None:
    made = append(element("p", "a", element("b", "b"), "c", None, element("i"), "d"), "e")

    assert "".join(made.itertext()) == "abcde"
    assert [child.tail for child in made] == ["c", "de"]


def test_a_table_has_its_heads_and_numbers() -> None:
    made = table(["model", "n"], [["one", "1"], ["two", "2"]], numbers=(1,), caption="c")

    assert [cell.text for cell in made.iter("th")] == ["model", "n", "one", "two"]
    assert [cell.get("class") for cell in made.iter("td")] == ["number", "number"]
    assert [cell.get("scope") for cell in made.iter("th")] == ["col", "col", "row", "row"]


def test_a_picture_is_in_the_page() -> None:
    made = embedded(EncodedPicture("image/png", 3, 2, b"\x00\xff"), description="a map")

    assert made.get("src") == "data:image/png;base64,AP8="
    assert (made.get("width"), made.get("height"), made.get("alt")) == ("3", "2", "a map")


def test_words_of_another_language_are_marked_as_such() -> None:
    """A Korean file name in an English sentence does not make it Korean."""
    mixed = "그림.jpg could not be read"

    marked = in_its_language(mixed, "ko")

    assert isinstance(marked, Element)
    assert (marked.text, marked.get("lang")) == (mixed, "en")
    assert in_its_language(mixed, "en") == mixed
    assert in_its_language("식용이 아닙니다", "ko") == "식용이 아닙니다"
    korean = in_its_language("식용이 아닙니다", "en")
    assert isinstance(korean, Element)
    assert korean.get("lang") == "ko"


def test_of_a_notice_in_both_languages_each_sentence_is_marked() -> None:
    both = in_its_language("Not for use on meat. 식용이 아닙니다.", "en")

    assert isinstance(both, Element)
    assert "".join(both.itertext()) == "Not for use on meat. 식용이 아닙니다."
    assert [(part.text, part.get("lang")) for part in both] == [("식용이 아닙니다.", "ko")]
