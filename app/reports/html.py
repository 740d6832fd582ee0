"""HTML from Python values: elements, tables, figures, and one page that needs nothing but itself.

children (text, elements) -> element -> ... -> page -> the file's bytes

Elements are those of ElementTree, so it is the library that escapes text and attributes, never a template. The page
forbids itself, by its own policy, to fetch or to run anything. Knows no models and no pictures' meaning.
"""

import base64
import re
from collections.abc import Collection, Iterable, Sequence
from importlib.resources import files
from xml.etree.ElementTree import Element, tostring

from app.domain import EncodedPicture

Child = Element | str | None
"""None is left out."""

_SHARED_STYLE = "common.css"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_AFTER_SENTENCE = re.compile(r"(?<=[.!?;] )")
_LATIN = re.compile("[A-Za-z]")
# What XML and HTML cannot hold: control characters, and the halves of characters that stand for a file name's bad bytes.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def element(tag: str, /, *children: Child, **attributes: str | float | None) -> Element:
    """One element; `class_` is class, an underscore within an attribute's name a dash, None no attribute."""
    made = Element(
        tag,
        {
            key.rstrip("_").replace("_", "-"): _readable(
                f"{value:g}" if isinstance(value, float) else str(value)
            )
            for key, value in attributes.items()
            if value is not None
        },
    )
    append(made, *children)
    return made


def append(to: Element, *children: Child) -> Element:
    """Adds children behind those that are there; the element itself, for chaining."""
    for child in children:
        if isinstance(child, Element):
            to.append(child)
        elif child is not None and len(to):
            to[-1].tail = (to[-1].tail or "") + _readable(child)
        elif child is not None:
            to.text = (to.text or "") + _readable(child)
    return to


def table(
    headers: Sequence[Child],
    rows: Iterable[Sequence[Child]],
    *,
    numbers: Collection[int] = (),
    caption: Child = None,
    class_: str | None = None,
) -> Element:
    """A table whose first column heads its rows.

    Args:
        headers: of the columns.
        rows: of as many cells.
        numbers: columns that are set flush right.
        caption: above it.
        class_: for the style sheet.
    """

    def set_as(column: int) -> str | None:
        return "number" if column in numbers else None

    head = element(
        "tr", *(element("th", cell, scope="col", class_=set_as(at)) for at, cell in enumerate(headers))
    )
    body = [
        element(
            "tr",
            *(
                element("td", cell, class_=set_as(at)) if at else element("th", cell, scope="row")
                for at, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    return element(
        "table",
        None if caption is None else element("caption", caption),
        element("thead", head),
        element("tbody", *body),
        class_=class_,
    )


def embedded(picture: EncodedPicture, *, description: str) -> Element:
    """A picture whose bytes are in the page."""
    data = base64.b64encode(picture.data).decode("ascii")
    return element(
        "img",
        src=f"data:{picture.media_type};base64,{data}",
        width=picture.width,
        height=picture.height,
        alt=description,
    )


def isolated(text: str, *, class_: str | None = None) -> Element:
    """A name that others chose: whatever directions its letters have, what stands beside it keeps its place."""
    return element("bdi", text, class_=class_)


def in_its_language(text: str, language: str) -> Child:
    """Words that are not the page's own (of proofs, errors, manifests), marked where they are of the other language.

    Else a screen reader reads English aloud as if it were Korean. A notice may be in both, so each sentence counts.
    """
    parts: list[Child] = []
    for sentence in _AFTER_SENTENCE.split(text):
        own = "ko" if len(_HANGUL.findall(sentence)) > len(_LATIN.findall(sentence)) else "en"
        parts.append(sentence if own == language else element("span", sentence, lang=own))
    return parts[0] if len(parts) == 1 else element("span", *parts)


def page(*body: Child, title: str, language: str, style: str = "report.css") -> bytes:
    """The whole file, UTF-8.

    Args:
        body: what stands on it.
        title: of the window and of a printed file.
        language: its code, such as en or ko: browsers choose fonts and break lines by it.
        style: a style sheet beside this module; what all pages share comes before it.
    """
    css = "".join(
        files("app.reports").joinpath(name).read_text(encoding="utf-8") for name in (_SHARED_STYLE, style)
    )
    whole = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="generator", content="lineside"),
            element("title", title),
            element("style", css),
        ),
        element("body", *body),
        lang=language,
    )
    return b"<!doctype html>\n" + tostring(whole, encoding="unicode", method="html").encode("utf-8") + b"\n"


def _readable(text: str) -> str:
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
