"""Knobs of the training that must change what they say, and nothing else."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from training.runs import run, weights

from app.errors import TrainingRefused
from app.training.train import batches_of
from app.training.trained import Trained
from app.training.watch import Watcher
from app.training.work import Epoch


@pytest.fixture(scope="module")
def plain(few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return run(few_digits, tmp_path_factory.mktemp("work"))


@dataclass
class Heard(Watcher):
    epochs: list[Epoch] = field(default_factory=list)

    def ended(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)


@pytest.mark.parametrize(
    "change",
    [
        {"training__label_smoothing": 0.2},
        {"training__dropout": 0.0},
        {"training__batch_size": 12},
        {"training__precision": "bfloat16"},
        {"optimiser__name": "adam"},
        {"optimiser__name": "sgd"},
        {"optimiser__clip_norm": 0.01},
        {"optimiser__weight_decay": 0.3},
        {"schedule__decay": "none"},
        {"schedule__warmup_epochs": 0.5},
        {"augmentation__zoom": 0.3},
    ],
    ids=str,
)
def test_every_knob_changes_the_weights(
    change: dict[str, object], plain: Trained, few_digits: Path, tmp_path: Path
) -> None:
    changed = weights(run(few_digits, tmp_path, **change))

    assert torch.isfinite(changed).all()
    assert not torch.equal(changed, weights(plain))


def test_balanced_weights_change_nothing_where_classes_are_balanced(
    plain: Trained, few_digits: Path, tmp_path: Path
) -> None:
    balanced = run(few_digits, tmp_path, training__class_weights="balanced")

    torch.testing.assert_close(weights(balanced), weights(plain), rtol=1e-3, atol=1e-3)


def test_the_best_epoch_is_kept_and_patience_ends_it(few_digits: Path, tmp_path: Path) -> None:
    heard = Heard()
    trained = run(
        few_digits, tmp_path, heard, training__epochs=40, training__patience_epochs=2, optimiser__learning_rate=0.05
    )  # fmt: skip

    losses = [epoch.validation_loss for epoch in trained.history]
    best = losses.index(min(losses))
    assert len(losses) == best + 3 < 40
    assert trained.kept == trained.history[best]
    assert list(trained.history) == heard.epochs
    assert trained.validation.accuracy == pytest.approx(trained.kept.validation_accuracy)


def test_the_last_epoch_is_kept_where_that_is_asked(few_digits: Path, tmp_path: Path) -> None:
    trained = run(few_digits, tmp_path, training__keep="last", training__epochs=3)

    assert trained.kept.number == 3
    assert trained.validation.accuracy == pytest.approx(trained.history[-1].validation_accuracy)


def test_training_that_diverges_says_what_to_lower(few_digits: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused, match=r"diverged. Lower optimiser.learning_rate"):
        run(
            few_digits,
            tmp_path,
            optimiser__name="sgd",
            optimiser__learning_rate=1e30,
            optimiser__clip_norm=0.0,
        )


def test_half_precision_on_the_cpu_is_refused_before_anything_is_read(
    few_digits: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingRefused, match="float16 needs CUDA"):
        run(few_digits, tmp_path, training__precision="float16")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_cuda_device_learns_the_same_task(precision: str, few_digits: Path, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")

    trained = run(
        few_digits, tmp_path, machine__device="cuda", training__precision=precision, training__epochs=20
    )

    assert trained.history[-1].training_loss < 0.5 * trained.history[0].training_loss


@pytest.mark.parametrize(("count", "size", "sizes"), [(17, 16, [9, 8]), (32, 16, [16, 16]), (3, 8, [3])])
def test_no_batch_holds_a_single_picture(count: int, size: int, sizes: list[int]) -> None:
    batches = batches_of(np.arange(count), size, seed=1, epoch=0)

    assert [len(batch) for batch in batches] == sizes
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
