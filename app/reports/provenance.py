"""What a page must say to be understood in half a year: of which pictures it is, of which model, made by which Lineside.

facts of models, files that could not be read -> paragraphs, the same on each page
"""

from collections.abc import Sequence

from app import __version__
from app.evaluation.evaluated import ModelFacts
from app.evaluation.predictions import Failure
from app.explain.sentence import Language
from app.reports.evaluation_words import Words
from app.reports.html import Child, element, in_its_language, isolated

MAX_UNREAD = 50


def lead(about: str, created: str) -> Child:
    """Under the title: the pictures, then the program and the day."""
    made = ", ".join(text for text in (f"lineside {__version__}", created) if text)
    return element("p", f"{about} {made}.", class_="lead")


def notices(models: Sequence[tuple[str, ModelFacts | None]], language: Language) -> list[Child]:
    """What the manifests want to be read, each once; of several models with the names of those that want it.

    Args:
        models: name on this page and facts of each.
        language: of the page.
    """
    names: dict[str, list[str]] = {}
    for name, facts in models:
        if facts is not None and facts.notice:
            names.setdefault(facts.notice, []).append(name)
    return [
        element(
            "div",
            f"{', '.join(of)}: " if len(models) > 1 else None,
            in_its_language(notice, language),
            class_="warning",
        )
        for notice, of in names.items()
    ]


def model_line(model: ModelFacts | None, *, is_named: bool = False) -> Child:
    """Which network answered, where, and the digest that tells its versions apart."""
    if model is None:
        return None
    parts = [model.name] if is_named else []
    parts += [model.architecture, model.device, model.precision, model.identity.digest[:19]]
    return element("p", ", ".join(parts), class_="small")


def unread(failures: Sequence[Failure], words: Words, *, numbers_file: str) -> list[Child]:
    """The files that no model saw, and why; an audit counts their names, days and kinds all the same.

    Args:
        failures: all of them.
        words: of the page.
        numbers_file: that holds those which are too many for a page.
    """
    if not failures:
        return []
    items = [
        element(
            "li",
            isolated(f"{each.item.path.parent.name}/{each.item.path.name}", class_="file"),
            ": ",
            in_its_language(each.error.message, words.language),
        )
        for each in failures[:MAX_UNREAD]
    ]
    return [
        element("h2", words.skipped.format(len(failures))),
        element("ul", *items),
        left_out(len(failures) - len(items), words, numbers_file=numbers_file),
    ]


def left_out(count: int, words: Words, *, numbers_file: str) -> Child:
    """Nothing is cut without a word."""
    if count <= 0:
        return None
    return element("p", words.more.format(count=f"{count:,}", file=numbers_file), class_="small")
