"""Figures of labelled pictures: tables for a terminal."""

import math

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from app.evaluation.metrics import Figures, most_confused, wilson_interval
from app.explain.rounding import figure
from app.reports.charts import MAX_MATRIX_CLASSES
from app.reports.numbers import pictures

MAX_CLASS_ROWS = 20
MAX_CONFUSIONS = 10


def table_of(*columns: str) -> Table:
    """A narrow table, 80 columns are few; columns that begin with > hold numbers."""
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left", title_style="bold", pad_edge=False
    )
    for name in columns:
        table.add_column(
            name.removeprefix(">"), justify="right" if name.startswith(">") else "left", overflow="fold"
        )
    return table


def figures_tables(
    figures: Figures, *, claims: bool = True, interval: tuple[float, float] | None = None
) -> RenderableType:
    """For a terminal: accuracy and macro F1 (where they are claimed), one line a class, the confusion matrix.

    Args:
        figures: of labelled pictures.
        claims: whether an accuracy is claimed.
        interval: of it; None: Wilson's.
    """
    low, high = interval or wilson_interval(figures.hits, figures.count)
    parts: list[RenderableType] = [
        Text(f"called right: {figures.hits:,} of {pictures(figures.count, 'en')}")
        if not claims
        else Text.from_markup(
            f"[bold]accuracy {figure(figures.accuracy, 4)}[/], {figures.hits:,} of {pictures(figures.count, 'en')} (95 %: "
            f"{figure(low)} to {figure(high)}); [bold]macro F1 {figure(figures.macro_f1, 4)}[/]"
        ),
        _per_class(figures),
    ]
    if figures.without_pictures:
        names = ", ".join(figures.without_pictures[:MAX_CLASS_ROWS])
        parts.append(Text(f"no pictures, so not in the macro F1: {names}", style="yellow"))
    narrow = len(figures.classes) <= MAX_MATRIX_CLASSES
    parts.append(_matrix(figures) if narrow else _confusions(figures))
    return Group(*parts)


def _per_class(figures: Figures) -> Table:
    table = table_of("class", ">precision", ">recall", ">F1", ">pictures")
    order = list(range(len(figures.classes)))
    if len(figures.classes) > MAX_CLASS_ROWS:
        # The weakest are what one looks for among a thousand; those without pictures last.
        order.sort(key=lambda index: math.inf if math.isnan(figures.f1[index]) else figures.f1[index])
        del order[MAX_CLASS_ROWS:]
        table.title = f"the {MAX_CLASS_ROWS} classes of lowest F1"
    for index in order:
        table.add_row(
            escape(figures.classes[index]),
            *(_figure(values[index]) for values in (figures.precision, figures.recall, figures.f1)),
            str(figures.support[index]),
        )
    return table


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else figure(value)


def _matrix(figures: Figures) -> Table:
    table = table_of("true \\ predicted", *(f">{escape(name)}" for name in figures.classes))
    for row, name in enumerate(figures.classes):
        cells = [str(count) if count else "·" for count in figures.confusion[row]]
        cells[row] = f"[bold]{cells[row]}[/]"
        table.add_row(escape(name), *cells)
    return table


def _confusions(figures: Figures) -> Table:
    """The most frequent cells off the diagonal."""
    table = table_of("true", "predicted", ">pictures")
    table.title = "most frequent confusions"
    for row, column, count in most_confused(figures.confusion, MAX_CONFUSIONS):
        table.add_row(escape(figures.classes[row]), escape(figures.classes[column]), str(count))
    return table
