"""Elements of HTML and SVG from Python values, and one page that needs nothing but itself.

children (text, elements) -> element -> page -> the file's bytes

Elements are those of ElementTree: the library escapes text and attributes, never a template. The page forbids itself
to fetch or to run anything.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from xml.etree.ElementTree import Element, tostring

from app.domain import EncodedPicture

Child = Element | str | None
"""None is left out."""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# What HTML cannot hold: control characters, and the halves that stand for a file name's bad bytes.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def element(name: str, /, *children: Child, **attributes: str | float | None) -> Element:
    """One element; `class_` is class, an underscore in an attribute's name a dash, None no attribute."""
    made = Element(
        name,
        {
            key.rstrip("_").replace("_", "-"): _readable(
                f"{value:g}" if isinstance(value, float) else str(value)
            )
            for key, value in attributes.items()
            if value is not None
        },
    )
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif child is not None and len(made):
            made[-1].tail = (made[-1].tail or "") + _readable(child)
        elif child is not None:
            made.text = (made.text or "") + _readable(child)
    return made


def table(head: Sequence[Child], rows: Iterable[Sequence[Child]], *, class_: str | None = None) -> Element:
    """The first column heads its rows; the others hold numbers."""
    return element(
        "table",
        element("thead", element("tr", *(element("th", cell, scope="col") for cell in head))),
        element(
            "tbody",
            *(
                element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:]))
                for row in rows
            ),
        ),
        class_=class_,
    )


def embedded(picture: EncodedPicture, description: str) -> Element:
    """A picture whose bytes are in the page."""
    data = base64.b64encode(picture.data).decode("ascii")
    return element(
        "img",
        src=f"data:{picture.media_type};base64,{data}",
        width=picture.width,
        height=picture.height,
        alt=description,
    )


def page(*body: Child, title: str, language: str) -> bytes:
    """The whole file, UTF-8."""
    css = files("app.reports").joinpath("evaluation.css").read_text(encoding="utf-8")
    whole = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", title),
            element("style", css),
        ),
        element("body", element("main", *body)),
        lang=language,
    )
    return b"<!doctype html>\n" + tostring(whole, encoding="unicode", method="html").encode("utf-8") + b"\n"


def _readable(text: str) -> str:
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
