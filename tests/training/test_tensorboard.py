"""Event files that TensorBoard itself reads."""

from pathlib import Path

import pytest
from training.runs import run

from app.training.tensorboard import TensorBoard


def test_events_hold_the_history(few_digits: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415 - slow

    board = TensorBoard(tmp_path / "events")
    trained = run(few_digits, tmp_path / "work", board)
    board.close()

    events = EventAccumulator(str(tmp_path / "events")).Reload()
    for name, values in {
        "loss/training": [epoch.training_loss for epoch in trained.history],
        "accuracy/validation": [epoch.validation_accuracy for epoch in trained.history],
    }.items():
        assert [event.value for event in events.Scalars(name)] == pytest.approx(values)
        assert [event.step for event in events.Scalars(name)] == [1, 2]
