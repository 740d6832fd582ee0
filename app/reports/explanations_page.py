"""The report of explanations as one HTML page: models, result, where they look, pictures.

Explanations (all numbers, encoded drawings) -> explanations_page -> bytes of the file
"""

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from app import __version__
from app.evaluation.metrics import most_confused, wilson_interval
from app.explain.rounding import figure
from app.reports.asked import Asked
from app.reports.charts import MAX_MATRIX_CLASSES, colour_scale, confusion
from app.reports.evaluation_sentences import no_claim
from app.reports.evaluation_words import words_of
from app.reports.explanations import Explanations
from app.reports.html import Child, element, in_its_language, isolated, page, table
from app.reports.numbers import between, percent, pictures, share
from app.reports.picture_card import card
from app.reports.survey import Seen
from app.reports.where_section import where_section
from app.reports.words import Words

MAX_CONFUSIONS = 20
MAX_UNREAD = 20


def explanations_page(report: Explanations, words: Words) -> bytes:
    """The whole file, UTF-8."""
    title = words.one_model if len(report.models) == 1 else words.several_models
    return page(
        *_head(report, words, title),
        *_result(report, words),
        *where_section(report, words),
        _reading(report, words),
        *_pictures(report, words),
        *_unread(report, words),
        title=f"{title}: {', '.join(model.name for model in report.models)}",
        language=words.language,
    )


# --- what was asked ----------------------------------------------------------------------------


def _head(report: Explanations, words: Words, title: str) -> Iterator[Element]:
    when = f"{report.made:%Y-%m-%d %H:%M %Z}".strip()
    count = len(report.survey.seen) + len(report.survey.unread)
    notices: dict[str, list[str]] = {}
    for model in report.models:
        if model.bundle.manifest.notice:
            notices.setdefault(model.bundle.manifest.notice, []).append(model.name)
    yield element(
        "header",
        element("div", words.kicker, class_="kicker"),
        element("h1", title),
        element(
            "p",
            words.made.format(
                when=when,
                version=__version__,
                pictures=pictures(count, words.language),
                folder=report.folder,
            ),
            class_="lead",
        ),
        *(
            element(
                "p",
                element("strong", ", ".join(names)),
                in_its_language(notice, words.language),
                class_="notice",
            )
            for notice, names in notices.items()
        ),
    )
    yield element("h2", words.model)
    yield table(
        [words.model, words.architecture, words.input, words.evidence, words.proof],
        [_model_row(model, words) for model in report.models],
        class_="models",
    )
    if report.notes:
        yield element(
            "p",
            f"{words.notes}: ",
            in_its_language("; ".join(report.notes), words.language),
            class_="note",
        )


def _model_row(model: Asked, words: Words) -> list[Child]:
    manifest, engine = model.bundle.manifest, model.engine
    kinds = {"exact": words.exact, "gradient": words.gradient, "none": words.no_map}
    return [
        element(
            "span",
            model.name,
            element("span", _short(model.bundle.digest), class_="sub mono", title=model.bundle.digest),
        ),
        element(
            "span",
            manifest.architecture,
            element("span", f"{engine.device}, {engine.precision}", class_="sub"),
        ),
        f"{engine.input_size.width} x {engine.input_size.height}",
        kinds[engine.evidence_kind],
        in_its_language(model.golden, words.language) if model.golden else words.no_golden,
    ]


def _short(digest: str) -> str:
    """Enough of it to tell versions apart; the whole is its tooltip and in the JSON."""
    return f"{digest[:23]}…"


# --- what came out -----------------------------------------------------------------------------


def _result(report: Explanations, words: Words) -> Iterator[Element]:
    yield element("h2", words.result)
    if not report.survey.is_labelled:
        yield element("p", words.unlabelled, class_="note")
    headers: list[Child] = [words.model]
    if report.survey.is_labelled:
        headers += [words.accuracy, words.macro_f1]
    headers += [words.cover_lowers, words.no_evidence]
    has_expected = any(model.bundle.manifest.region_of_interest() for model in report.models)
    if has_expected:
        headers.append(words.inside)
    rows = [
        _result_row(report, number, words, has_expected=has_expected) for number in range(len(report.models))
    ]
    yield table(headers, rows, numbers=range(1, len(headers)))
    if report.survey.is_labelled and (scarce := report.survey.scarce()):
        by_name = dict(zip(report.survey.classes, report.labels(words.language), strict=True))
        yield element(
            "p",
            no_claim({by_name[name]: count for name, count in scarce.items()}, words.language),
            class_="note",
        )
    groups = report.survey.groups()
    if len(groups) > 1:
        yield table(
            [words.groups, words.pictures, words.shown],
            [
                [
                    element("a", group_title(verdict, report, words), href=f"#group-{number}"),
                    f"{len(seen):,}",
                    str(sum(shown.seen.verdict == verdict for shown in report.shown)),
                ]
                for number, (verdict, seen) in enumerate(groups.items())
            ],
            numbers=(1, 2),
        )
    if report.survey.is_labelled:
        yield element("h2", words.confusion)
        labels = report.labels(words.language)
        yield element(
            "div",
            *(_confusion(report, number, labels, words) for number in range(len(report.models))),
            class_="side-by-side",
        )


def _result_row(report: Explanations, number: int, words: Words, *, has_expected: bool) -> list[Child]:
    survey, language = report.survey, words.language
    row: list[Child] = [report.models[number].name]
    if survey.is_labelled:
        figures = survey.figures(number)
        low, high = wilson_interval(figures.hits, figures.count)
        told = words.of_pictures.format(hits=f"{figures.hits:,}", count=f"{figures.count:,}")
        if survey.scarce():
            row += [element("span", "-", element("span", told, class_="sub")), "-"]
        else:
            interval = between(percent(low, language), percent(high, language), language)
            told += f"; {words_of(language).interval.format(interval)}"
            row += [
                element("span", percent(figures.accuracy, language), element("span", told, class_="sub")),
                figure(figures.macro_f1),
            ]
    checks = [view.cover.verdict for shown in report.shown if (view := shown.views[number]).cover is not None]
    places = [seen.answers[number].place for seen in survey.seen]
    has_map = report.models[number].plan is not None
    row.append(
        words.cover_of.format(count=checks.count("lowers"), total=len(checks)) if has_map else words.no_map
    )
    blank = sum(place is not None and place.centroid is None for place in places)
    row.append(f"{blank:,}" if has_map else "-")
    if has_expected:
        inside = [
            place.share_inside for place in places if place is not None and place.share_inside is not None
        ]
        row.append(share(float(np.mean(inside)), language) if inside else "-")
    return row


def _confusion(report: Explanations, number: int, labels: Sequence[str], words: Words) -> Element:
    counts, name = report.survey.figures(number).confusion, report.models[number].name
    if len(labels) <= MAX_MATRIX_CLASSES:
        matrix = confusion(counts, labels, corner="", caption=words.confusion_caption)
    else:
        worst = most_confused(counts, MAX_CONFUSIONS)
        matrix = table(
            [words.true, words.predicted, words.pictures],
            [[labels[row], labels[column], f"{count:,}"] for row, column, count in worst],
            numbers=(2,),
            caption=words.confusion_many.format(count=len(worst)),
        )
    return element("div", element("h3", name), matrix)


# --- pictures ----------------------------------------------------------------------------------


def _reading(report: Explanations, words: Words) -> Element:
    points = [words.how_colour, words.how_boxes, words.how_cover, words.how_hint]
    if report.layers is not None:
        points.insert(3, words.how_layers)
    return element(
        "section",
        element("h3", words.how),
        element("ul", *(element("li", point) for point in points)),
        colour_scale("0", words.full_colour.format(value=words.strongest)),
        class_="reading",
    )


def _pictures(report: Explanations, words: Words) -> Iterator[Element]:
    labels = report.labels(words.language)
    for number, (verdict, seen) in enumerate(report.survey.groups().items()):
        shown = [each for each in report.shown if each.seen.verdict == verdict]
        yield element(
            "section",
            element(
                "h2",
                group_title(verdict, report, words),
                element("span", _shown_of(len(shown), seen, words), class_="count"),
            ),
            *(
                card(each, report.models, report.survey.classes, labels, words, layers=report.layers)
                for each in shown
            ),
            class_="pictures",
            id=f"group-{number}",
        )


def _shown_of(shown: int, seen: Sequence[Seen], words: Words) -> str:
    text = words.shown_all if shown == len(seen) else words.shown_some
    return text.format(shown=shown, count=f"{len(seen):,}")


def group_title(verdict: tuple[bool, ...], report: Explanations, words: Words) -> str:
    """What the pictures of a group have in common."""
    if not report.survey.is_labelled:
        if not verdict:
            return words.everything
        return words.agree if verdict[0] else words.disagree
    if len(verdict) == 1:
        return words.right if verdict[0] else words.wrong
    if all(verdict) or not any(verdict):
        return words.all_right if all(verdict) else words.all_wrong
    names = {
        side: ", ".join(
            model.name for model, is_right in zip(report.models, verdict, strict=True) if is_right == side
        )
        for side in (True, False)
    }
    return words.only_right.format(right=names[True], wrong=names[False])


def _unread(report: Explanations, words: Words) -> Iterator[Element]:
    unread = report.survey.unread
    if not unread:
        return
    yield element("h2", words.unread)
    yield element(
        "p", words.unread_text.format(pictures=pictures(len(unread), words.language)), class_="note"
    )
    yield table(
        [words.file, words.reason],
        [
            [
                isolated(f"{each.item.path.parent.name}/{each.item.path.name}", class_="file"),
                in_its_language(each.error.message, words.language),
            ]
            for each in unread[:MAX_UNREAD]
        ],
    )
    if len(unread) > MAX_UNREAD:
        yield element(
            "p", words.more.format(count=len(unread) - MAX_UNREAD, file=report.numbers_file), class_="note"
        )
