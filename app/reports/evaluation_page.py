"""The report of an evaluation: one HTML file that is read, sent and printed.

Evaluation + language -> evaluation_page -> bytes

What must not be overlooked stands first: what is not claimed, and what is confounded. Computes no figure.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from app import __version__
from app.evaluation.evaluated import LEAST_PER_CLASS, Evaluated, Evaluation
from app.evaluation.gallery import Mistake
from app.reports.audit_section import audit_section, warnings
from app.reports.audit_words import Language
from app.reports.evaluation_charts import BLUE, ORANGE, curves, interval_bar, reliability_diagram, shade
from app.reports.evaluation_words import Words, verdict, words_of
from app.reports.html import Child, element, embedded, page, table

MAX_MATRIX_CLASSES: Final = 12
MAX_CLASS_ROWS: Final = 20
MAX_CONFUSIONS: Final = 15
MAX_NAMED: Final = 6
CUT_AT_GUESSES: Final = 2.0
"""A loss above twice that of guessing (ln K) is drawn at the top of the chart."""


def evaluation_page(evaluation: Evaluation, language: Language) -> bytes:
    """The whole file."""
    words, subjects = words_of(language), evaluation.subjects
    first = subjects[0]
    labels = dict(zip(first.classes, _labels(first, language), strict=True))
    model = first.model
    title = words.title.format(evaluation.title or " / ".join(each.name for each in subjects))
    about = words.lead.format(count=first.figures.count, folder=evaluation.folder)
    made = ", ".join(text for text in (f"lineside {__version__}", evaluation.created) if text)
    body: list[Child] = [
        element("h1", title),
        element("p", f"{about} {made}.", class_="lead"),
        *(element("div", text, class_="warning") for text in _cautions(subjects, words)),
    ]
    if model is not None and model.notice:
        body.append(element("div", model.notice, class_="warning"))
    body += [element("div", text, class_="warning") for text in warnings(evaluation.audits, language, labels)]
    body.append(element("h2", words.summary))
    body += [part for each in subjects for part in _summary(each, words, is_named=len(subjects) > 1)]
    if evaluation.comparison is not None and len(subjects) == 2:
        said = verdict(evaluation.comparison, subjects[0].name, subjects[1].name, language)
        body += [element("h2", words.comparison), element("p", element("b", said))]
    body += [element("h2", words.per_class), _side_by_side(subjects, words, _per_class)]
    body += [element("h2", words.confusion), element("p", words.confusion_note, class_="small")]
    body.append(_side_by_side(subjects, words, _confusion))
    body += [element("h2", words.reliability), element("p", words.reliability_note, class_="small")]
    body.append(_side_by_side(subjects, words, _reliability))
    body += _mistakes(subjects, words)
    if evaluation.audits:
        body += audit_section(evaluation.audits, language, labels)
    body += _curves(evaluation, words)
    body += _ending(evaluation, words)
    return page(element("main", *body), title=title, language=language, style="evaluation.css")


def _labels(subject: Evaluated, language: Language) -> tuple[str, ...]:
    return subject.labels.get(language, subject.classes)


def _cautions(subjects: Sequence[Evaluated], words: Words) -> list[str]:
    """What is not claimed, and what the proofs warn of; each once."""
    said = []
    for each in subjects:
        if each.scarce:
            label = dict(zip(each.classes, _labels(each, words.language), strict=True))
            named = [f"{label[name]} ({count})" for name, count in list(each.scarce.items())[:MAX_NAMED]]
            if len(each.scarce) > MAX_NAMED:
                named.append(f"+{len(each.scarce) - MAX_NAMED}")
            text = words.no_claim.format(least=LEAST_PER_CLASS, classes=", ".join(named))
            said.append(f"{each.name}: {text}" if len(subjects) > 1 else text)
        if each.model is not None:
            said += [f"{each.name}: {warning}" for warning in each.model.warnings]
    return list(dict.fromkeys(said))


def _summary(each: Evaluated, words: Words, *, is_named: bool) -> list[Child]:
    figures = each.figures
    low, high = each.accuracy_interval
    f1_low, f1_high = each.macro_f1_interval
    is_perfect = figures.hits == figures.count
    claims = not each.scarce
    interval = words.interval.format(low=f"{low:.1%}", high=f"{high:.1%}")
    f1_interval = words.interval.format(low=f"{f1_low:.3f}", high=f"{f1_high:.3f}")
    tiles = [
        (f"{figures.hits} / {figures.count}", words.right, ""),
        (
            f"{figures.accuracy:.1%}" if claims else "-",
            words.accuracy,
            interval if claims else words.not_claimed,
        ),
        (
            f"{figures.macro_f1:.3f}" if claims else "-",
            words.macro_f1,
            words.not_claimed if not claims else words.bootstrap_note if is_perfect else f1_interval,
        ),
        (f"{each.raw_error:.3f}", words.calibration_error, words.before),
    ]
    if each.scaled_error is not None:
        note = f"{words.after_scaling} ({words.temperature} {each.temperature:g})"
        tiles.append((f"{each.scaled_error:.3f}", words.calibration_error, note))
    model = each.model
    about = (
        ""
        if model is None
        else f"{model.architecture}, {model.device}, {model.precision}, {model.identity.digest[:19]}"
    )
    return [
        element("h3", each.name) if is_named else None,
        element("p", about, class_="small") if about else None,
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


def _per_class(each: Evaluated, words: Words) -> list[Child]:
    figures, labels = each.figures, _labels(each, words.language)
    order = list(range(len(labels)))
    note: Child = None
    if len(order) > MAX_CLASS_ROWS:
        order.sort(key=lambda at: float(np.nan_to_num(figures.recall[at], nan=2.0)))
        del order[MAX_CLASS_ROWS:]
        note = element("p", words.weakest.format(MAX_CLASS_ROWS), class_="small")
    rows: list[list[Child]] = []
    for at in order:
        low, high = each.recall_intervals[at]
        recall = float(figures.recall[at])
        is_shown = figures.support[at] > 0
        rows.append(
            [
                labels[at],
                str(figures.support[at]),
                f"{recall:.3f}" if is_shown else "-",
                interval_bar(low, recall, high) if is_shown else "-",
                f"{low:.2f} - {high:.2f}" if is_shown else "-",
                _number(figures.precision[at]),
                _number(figures.f1[at]),
            ]
        )
    head = [words.class_, words.support, words.recall, "0 - 1", "95 %", words.precision, "F1"]
    return [note, table(head, rows)]


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _confusion(each: Evaluated, words: Words) -> list[Child]:
    figures, labels = each.figures, _labels(each, words.language)
    if len(labels) > MAX_MATRIX_CLASSES:
        pairs = [(int(n), r, c) for (r, c), n in np.ndenumerate(figures.confusion) if n and r != c]
        rows = [
            [f"{labels[r]} → {labels[c]}", str(n)] for n, r, c in sorted(pairs, reverse=True)[:MAX_CONFUSIONS]
        ]
        return [
            element("p", words.frequent, class_="small"),
            table([words.true_predicted, words.pictures], rows),
        ]
    body = []
    for row, name in enumerate(labels):
        support = max(int(figures.support[row]), 1)
        cells = [
            element("td", str(count) if count else "·", style=shade(count / support, is_right=row == column))
            for column, count in enumerate(figures.confusion[row].tolist())
        ]
        body.append(element("tr", element("th", name, scope="row"), *cells))
    head = element(
        "tr", element("th", words.true_predicted), *(element("th", name, scope="col") for name in labels)
    )
    return [element("table", element("thead", head), element("tbody", *body), class_="confusion")]


def _reliability(each: Evaluated, words: Words) -> list[Child]:
    drawn = [(words.before, each.raw_bins, each.raw_error)]
    if each.scaled_bins is not None and each.scaled_error is not None:
        drawn.append((words.after, each.scaled_bins, each.scaled_error))
    figures = [
        element(
            "figure",
            reliability_diagram(bins, description=name, across=words.confidence, up=words.accuracy),
            element("figcaption", f"{name}: {words.calibration_error} {error:.3f}"),
        )
        for name, bins, error in drawn
    ]
    return [element("div", *figures, class_="side-by-side")]


def _mistakes(subjects: Sequence[Evaluated], words: Words) -> list[Child]:
    parts: list[Child] = [element("h2", words.mistakes)]
    if any(each.mistakes for each in subjects):
        parts.append(element("p", words.mistakes_note, class_="small"))
    for each in subjects:
        if len(subjects) > 1:
            parts.append(element("h3", each.name))
        if each.figures.hits == each.figures.count:
            parts.append(element("p", words.no_mistake.format(each.figures.count)))
        parts += [_mistake(mistake, _labels(each, words.language), words) for mistake in each.mistakes]
    return parts


def _mistake(mistake: Mistake, labels: Sequence[str], words: Words) -> Child:
    true, said = labels[mistake.item.class_index], labels[mistake.predicted_index]
    path = mistake.item.path
    drawn = [
        (mistake.picture, words.picture.format(true)),
        (mistake.for_predicted, words.why.format(name=said, probability=f"{mistake.probability:.3f}")),
        (mistake.for_true, words.against.format(name=true, probability=f"{mistake.true_probability:.3f}")),
    ]
    return element(
        "section",
        element("header", element("b", f"{path.parent.name}/{path.name}"), f"  {true} → {said}"),
        *(
            element("figure", embedded(picture, description=caption), element("figcaption", caption))
            for picture, caption in drawn
            if picture is not None
        ),
        class_="mistake",
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


def _ending(evaluation: Evaluation, words: Words) -> list[Child]:
    parts: list[Child] = []
    if evaluation.failures:
        parts.append(element("h2", words.skipped.format(len(evaluation.failures))))
        names = [
            f"{f.item.path.parent.name}/{f.item.path.name}: {f.error.message}" for f in evaluation.failures
        ]
        parts.append(element("ul", *(element("li", name) for name in names[:50])))
    notes = [element("p", note, class_="small") for note in evaluation.notes]
    return [*parts, element("footer", element("p", words.footer, class_="small"), *notes)]
