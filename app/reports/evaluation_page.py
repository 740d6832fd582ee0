"""The report of an evaluation: one HTML file that is read, sent and printed.

Evaluation + language -> evaluation_page -> bytes

What must not be overlooked stands first: what is not claimed, and what is confounded. Computes no figure.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

from app.evaluation.evaluated import Evaluated, Evaluation
from app.explain.rounding import figure
from app.explain.sentence import Language
from app.reports.audit_section import audit_section, warnings
from app.reports.evaluation_charts import BLUE, ORANGE, curves
from app.reports.evaluation_figures import abstention, confusion, on_the_line, per_class, reliability
from app.reports.evaluation_sentences import met_sentence, no_claim, verdict
from app.reports.evaluation_words import Words, words_of
from app.reports.html import Child, element, in_its_language, page
from app.reports.mistakes_section import mistakes_section
from app.reports.numbers import between, percent, pictures
from app.reports.provenance import lead, model_line, notices, unread

NUMBERS_FILE: Final = "evaluation.json"
CUT_AT_GUESSES: Final = 2.0
"""A loss above twice that of guessing (ln K) is drawn at the top of the chart."""


def evaluation_page(evaluation: Evaluation, language: Language) -> bytes:
    """The whole file."""
    words, subjects = words_of(language), evaluation.subjects
    first = subjects[0]
    labels = dict(zip(first.classes, first.labels_in(language), strict=True))
    title = words.title.format(evaluation.title or " / ".join(each.name for each in subjects))
    about = words.lead.format(pictures=pictures(first.figures.count, language), folder=evaluation.folder)
    body: list[Child] = [
        element("h1", title),
        lead(about, evaluation.created),
        *_cautions(subjects, words),
        *notices([(each.name, each.model) for each in subjects], language),
    ]
    body += [element("div", text, class_="warning") for text in warnings(evaluation.audits, language, labels)]
    body.append(element("h2", words.summary))
    body += [part for each in subjects for part in _summary(each, words, is_named=len(subjects) > 1)]
    if evaluation.comparison is not None and len(subjects) == 2:
        said = verdict(evaluation.comparison, subjects[0].name, subjects[1].name, language)
        body += [element("h2", words.comparison), element("p", element("b", said))]
    body += [element("h2", words.per_class), _side_by_side(subjects, words, per_class)]
    if any(each.shares is not None for each in subjects):
        body += [element("h2", words.on_the_line), element("p", words.on_the_line_note, class_="small")]
        body.append(_side_by_side(subjects, words, on_the_line))
    body += [element("h2", words.confusion), element("p", words.confusion_note, class_="small")]
    body.append(_side_by_side(subjects, words, confusion))
    body += [element("h2", words.reliability), element("p", words.reliability_note, class_="small")]
    body.append(_side_by_side(subjects, words, reliability))
    body += [element("h2", words.abstention), element("p", words.abstention_note, class_="small")]
    body.append(_side_by_side(subjects, words, abstention))
    body += mistakes_section(subjects, words)
    if evaluation.audits:
        body += audit_section(evaluation.audits, language, labels, numbers_file=NUMBERS_FILE)
    body += _curves(evaluation, words)
    body += _ending(evaluation, words)
    return page(element("main", *body), title=title, language=language, style="evaluation.css")


def _cautions(subjects: Sequence[Evaluated], words: Words) -> list[Child]:
    """What is not claimed, and what the proofs warn of; each once."""
    said: list[str] = []
    for each in subjects:
        if each.scarce:
            label = dict(zip(each.classes, each.labels_in(words.language), strict=True))
            scarce = {label[name]: count for name, count in each.scarce.items()}
            text = no_claim(scarce, words.language, of_groups=each.groups is not None)
            said.append(f"{each.name}: {text}" if len(subjects) > 1 else text)
        if (met := met_sentence(each.met, each.figures.count, words)) is not None:
            said.append(f"{each.name}: {met}" if len(subjects) > 1 else met)
    warned = [f"{each.name}: {text}" for each in subjects if each.model for text in each.model.warnings]
    return [
        *(element("div", text, class_="warning") for text in said),
        *(
            element("div", in_its_language(text, words.language), class_="warning")
            for text in dict.fromkeys(warned)
        ),
    ]


def _summary(each: Evaluated, words: Words, *, is_named: bool) -> list[Child]:
    figures, language = each.figures, words.language
    low, high = each.accuracy_interval
    claims = each.claims_accuracy
    interval = words.interval.format(between(percent(low, language), percent(high, language), language))
    drawn = [
        words.interval.format(between(figure(low), figure(high), language))
        for low, high in (each.drawn.balanced_accuracy, each.drawn.macro_f1)
    ]
    tiles = [
        (f"{figures.hits} / {figures.count}", words.right, ""),
        (
            percent(figures.accuracy, language) if claims else "-",
            words.accuracy,
            interval if claims else words.not_claimed,
        ),
        (
            figure(figures.balanced_accuracy) if claims else "-",
            words.balanced_accuracy,
            drawn[0] if claims else words.not_claimed,
        ),
        (
            figure(figures.macro_f1) if claims else "-",
            words.macro_f1,
            drawn[1] if claims else words.not_claimed,
        ),
        (figure(each.raw_error), words.calibration_error, words.before),
    ]
    if each.scaled_error is not None:
        note = f"{words.after_scaling} ({words.temperature} {each.temperature:g})"
        tiles.append((figure(each.scaled_error), words.calibration_error, note))
    return [
        element("h3", each.name) if is_named else None,
        model_line(each.model),
        element(
            "div",
            *(
                element("div", element("b", value), name, element("span", note), class_="tile")
                for value, name, note in tiles
            ),
            class_="tiles",
        ),
    ]


def _side_by_side(
    subjects: Sequence[Evaluated], words: Words, draw: Callable[[Evaluated, Words], list[Child]]
) -> Child:
    return element(
        "div",
        *(
            element("div", element("h3", each.name) if len(subjects) > 1 else None, *draw(each, words))
            for each in subjects
        ),
        class_="side-by-side",
    )


def _curves(evaluation: Evaluation, words: Words) -> list[Child]:
    rows = evaluation.history
    if not rows:
        return []
    numbers = [row.number for row in rows]
    losses = [
        (words.training_loss, BLUE, [row.training_loss for row in rows]),
        (words.validation_loss, ORANGE, [row.validation_loss for row in rows]),
    ]
    accuracy = [(words.validation_accuracy, ORANGE, [row.validation_accuracy for row in rows])]
    # Batch norms that have not settled yet may lose a hundred once, and nothing else would be seen beside it.
    guessing = math.log(len(evaluation.subjects[0].classes))
    highest = max(value for _, _, values in losses for value in values)
    is_cut = highest > CUT_AT_GUESSES * guessing
    return [
        element("h2", words.curves),
        element("p", words.cut_note.format(f"{highest:.3g}"), class_="small") if is_cut else None,
        element(
            "div",
            curves(
                numbers,
                losses,
                title=words.epoch,
                top_value=CUT_AT_GUESSES * guessing if is_cut else None,
            ),
            curves(numbers, accuracy, title=words.epoch, top_value=1.0),
            class_="side-by-side",
        ),
    ]


def _groups(evaluation: Evaluation, words: Words) -> str:
    """What was taken as independent."""
    first = evaluation.subjects[0]
    if first.groups is None:
        return words.independent
    return words.grouped.format(
        pictures=pictures(len(first.groups), words.language), groups=len(set(first.groups))
    )


def _ending(evaluation: Evaluation, words: Words) -> list[Child]:
    notes = [element("p", in_its_language(note, words.language), class_="small") for note in evaluation.notes]
    return [
        *unread(evaluation.failures, words, numbers_file=NUMBERS_FILE),
        element(
            "footer",
            *(element("p", text, class_="small") for text in (_groups(evaluation, words), words.footer)),
            *notes,
        ),
    ]
