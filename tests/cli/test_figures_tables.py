"""Tables of figures in a terminal."""

import io

import numpy as np
from rich.console import Console

from app.cli.summary import figures_tables
from app.evaluation.metrics import figures


def shown(count: int, mistakes: int) -> str:
    true = np.zeros(count, dtype=np.int64)
    true[count // 2 :] = 1
    predicted = true.copy()
    predicted[:mistakes] = 1
    text = io.StringIO()
    Console(file=text, width=120).print(figures_tables(figures(true, predicted, ("boar", "female"))))
    return text.getvalue()


def test_one_mistake_in_forty_thousand_is_not_rounded_away() -> None:
    table = shown(40_000, 1)

    assert "accuracy > 0.9999, 39,999 of 40,000 pictures" in table
    assert "macro F1 > 0.9999" in table
    assert table.count("1.000 ") == 2  # the precision of boar and the recall of female


def test_what_is_without_a_mistake_is_told_as_such() -> None:
    table = shown(40, 0)

    assert "accuracy 1.0000, 40 of 40 pictures" in table
    assert "to 1.000)" in table
