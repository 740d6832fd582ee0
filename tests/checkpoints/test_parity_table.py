"""Promises of the table in docs/checkpoints.md: every row is measured by a test, and close enough."""

from pathlib import Path

import pytest
from support.parity import DOCUMENT, PARITY, ROWS, Measured, figures, rewritten


def test_the_table_has_every_row_and_no_figure_above_the_bound() -> None:
    found = figures(DOCUMENT.read_text("utf-8"))

    assert list(found) == list(ROWS)
    assert all(0 < float(figure) <= PARITY for figure in found.values())


def test_every_row_is_named_by_a_test() -> None:
    """`make parity` would leave the figure of another as it is for ever."""
    tests = "".join(
        path.read_text("utf-8")
        for path in Path(__file__).parent.glob("test_*.py")
        if path.name != Path(__file__).name
    )
    patterns = tests.replace("{'folded' if does_fold else 'kept'}", "folded ONNX, batch normalisation kept")

    assert [row for row in ROWS if row not in patterns] == []


def test_a_row_that_was_not_measured_keeps_its_figure() -> None:
    page = DOCUMENT.read_text("utf-8")
    measured = Measured()
    measured.record("timm model folder", 2e-6)
    measured.record("timm model folder", 1e-6)

    changed = figures(rewritten(page, measured.largest))

    assert changed == figures(page) | {"timm model folder": "2.0e-06"}
    assert rewritten(page, {}) == page


def test_a_row_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError, match="is no row"):
        Measured().record("punched cards", 0.0)
