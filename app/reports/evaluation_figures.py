"""What was counted of one model, as tables and charts: each class, the confusion matrix, reliability.

Evaluated + words -> elements; computes no figure
"""

from typing import Final

import numpy as np

from app.evaluation.evaluated import Evaluated
from app.evaluation.metrics import most_confused
from app.evaluation.ranking import Area
from app.explain.rounding import figure
from app.explain.sentence import Language
from app.reports.charts import MAX_MATRIX_CLASSES
from app.reports.evaluation_charts import interval_bar, reliability_diagram, shade
from app.reports.evaluation_words import Words
from app.reports.html import Child, element, isolated, table
from app.reports.numbers import between, percent, probability

MAX_CLASS_ROWS: Final = 20
MAX_CONFUSIONS: Final = 15


def per_class(each: Evaluated, words: Words) -> list[Child]:
    """Support, recall with its interval, precision and F1; of many classes the weakest."""
    figures, language = each.figures, words.language
    labels = each.labels_in(language)
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
                percent(recall, language) if is_shown else "-",
                interval_bar(low, recall, high, language) if is_shown else "-",
                between(percent(low, language), percent(high, language), language) if is_shown else "-",
                "-" if np.isnan(figures.precision[at]) else percent(float(figures.precision[at]), language),
                "-" if np.isnan(figures.f1[at]) else figure(float(figures.f1[at])),
                _area(each.areas[at], words),
            ]
        )
    head = [
        words.class_,
        words.support,
        words.recall,
        "0 - 1",
        percent(0.95, language, digits=0),
        words.precision,
        "F1",
        words.roc_auc,
    ]
    return [note, table(head, rows)]


def _area(area: Area, words: Words) -> str:
    if np.isnan(area.value):
        return "-"
    low, high = area.interval
    return f"{figure(area.value)} ({between(figure(low), figure(high), words.language)})"


def _ends(interval: tuple[float, float], language: Language) -> str:
    low, high = interval
    return between(percent(low, language), percent(high, language), language)


def on_the_line(each: Evaluated, words: Words) -> list[Child]:
    """Accuracy and precisions where the classes come as often as somebody said; of many classes the most frequent."""
    line, language = each.on_the_line, words.language
    if line is None:
        return []
    labels = each.labels_in(language)
    rows: list[list[Child]] = [
        [
            labels[at],
            percent(float(line.shares[at]), language, digits=2),
            "-" if np.isnan(line.precision[at]) else percent(float(line.precision[at]), language),
            _ends(line.precision_intervals[at], language),
        ]
        for at in np.argsort(-line.shares, kind="stable")[:MAX_CLASS_ROWS].tolist()
    ]
    said = words.accuracy_there.format(
        accuracy=percent(line.accuracy, language),
        interval=words.interval.format(_ends(line.accuracy_interval, language)),
    )
    return [
        element("p", said) if each.claims_accuracy else None,
        table([words.class_, words.comes, words.precision_there, percent(0.95, language, digits=0)], rows),
    ]


def confusion(each: Evaluated, words: Words) -> list[Child]:
    """The matrix; of many classes its largest cells off the diagonal."""
    figures, labels = each.figures, each.labels_in(words.language)
    if len(labels) > MAX_MATRIX_CLASSES:
        rows: list[list[Child]] = [
            [element("span", isolated(labels[r]), " → ", isolated(labels[c])), str(n)]
            for r, c, n in most_confused(figures.confusion, MAX_CONFUSIONS)
        ]
        return [
            element("p", words.frequent, class_="small"),
            table([words.true_predicted, words.pictures], rows),
        ]
    body = []
    for row, name in enumerate(labels):
        support = max(int(figures.support[row]), 1)
        cells = [
            element("td", str(count), style=shade(count / support, is_right=row == column))
            if count
            else element("td", "·")
            for column, count in enumerate(figures.confusion[row].tolist())
        ]
        body.append(element("tr", element("th", name, scope="row"), *cells))
    head = element(
        "tr", element("th", words.true_predicted), *(element("th", name, scope="col") for name in labels)
    )
    return [element("table", element("thead", head), element("tbody", *body), class_="confusion")]


def abstention(each: Evaluated, words: Words) -> list[Child]:
    """How many errors are left where the least sure pictures are left to a person."""
    language = words.language
    rows: list[list[Child]] = [
        [
            percent(row.coverage, language),
            probability(row.threshold, language),
            str(row.pictures),
            str(row.wrong),
            percent(row.error, language) if each.claims_accuracy else "-",
        ]
        for row in each.answered
    ]
    return [table([words.answered, words.from_probability, words.pictures, words.wrong, words.error], rows)]


def reliability(each: Evaluated, words: Words) -> list[Child]:
    """A diagram before the temperature, and one after it where there is one."""
    drawn = [(words.before, each.raw_bins, each.raw_error)]
    if each.scaled_bins is not None and each.scaled_error is not None:
        drawn.append((words.after, each.scaled_bins, each.scaled_error))
    figures = [
        element(
            "figure",
            reliability_diagram(
                bins, words.language, description=name, across=words.confidence, up=words.accuracy
            ),
            element("figcaption", f"{name}: {words.calibration_error} {figure(error)}"),
        )
        for name, bins, error in drawn
    ]
    return [element("div", *figures, class_="side-by-side")]
