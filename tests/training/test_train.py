"""Knobs of the training that must change what they say, and nothing else."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from support.digits import write_digits
from training.runs import StopAt, run, small, weights

from app.errors import TrainingRefused
from app.evaluation.calibration import probabilities_at
from app.training.start import begun
from app.training.trained import Trained
from app.training.watch import Watcher
from app.training.work import STATE_FILE, Epoch


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
        {"training__freeze": "gradual"},
    ],
    ids=str,
)
def test_every_knob_changes_the_weights(
    change: dict[str, object], plain: Trained, few_digits: Path, tmp_path: Path
) -> None:
    changed = weights(run(few_digits, tmp_path, **change))

    assert torch.isfinite(changed).all()
    assert not torch.equal(changed, weights(plain))


@pytest.mark.parametrize("change", [{"training__batches": "groups"}, {"augmentation__per": "group"}], ids=str)
def test_what_is_done_by_group_changes_the_weights(
    change: dict[str, object], few_digits: Path, tmp_path: Path
) -> None:
    grouped = {"data__group_by": r"(\d)\.png"}

    plain, changed = (
        run(few_digits, tmp_path / str(number), **grouped, **more) for number, more in enumerate(({}, change))
    )

    assert not torch.equal(weights(changed), weights(plain))


def test_balanced_weights_change_nothing_where_classes_are_balanced(
    plain: Trained, few_digits: Path, tmp_path: Path
) -> None:
    balanced = run(few_digits, tmp_path, training__class_weights="balanced")

    torch.testing.assert_close(weights(balanced), weights(plain), rtol=1e-3, atol=1e-3)


def test_balanced_weights_favour_the_rare_class(few_digits: Path, tmp_path: Path) -> None:
    """One class keeps three of its twelve pictures; after one epoch it is named more boldly where it weighs more."""
    folder = tmp_path / "digits"
    shutil.copytree(few_digits, folder)
    for path in sorted((folder / "3").glob("*.png"))[3:]:
        path.unlink()

    plain, balanced = (
        run(folder, tmp_path / kind, training__class_weights=kind, training__epochs=1, data__test_share=0.0)
        for kind in ("none", "balanced")
    )

    bold = [
        probabilities_at(each.validation.logits)[:, 2].mean()  # the rare class, of any picture
        for each in (plain, balanced)
    ]
    assert bold[1] > bold[0]


def test_gradual_thawing_moves_one_more_stage_after_the_other(few_digits: Path, tmp_path: Path) -> None:
    """Two epochs of the head, then the last stage too: what still waits is as it began."""
    before = begun(small().manifest(("0", "1", "3")).network_spec(), "none", seed=0)[0].state_dict()

    after = run(
        few_digits, tmp_path, training__freeze="gradual", training__epochs=3, training__keep="last"
    ).servable.state_dict()

    moved = {".".join(name.split(".")[:2]) for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"head.linear", "trunk.layer3"}


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


def test_the_best_epoch_is_the_best_by_what_was_asked(few_digits: Path, tmp_path: Path) -> None:
    """A surer network has a higher loss for each mistake; the line may want fewer mistakes of rare classes."""
    trained = run(few_digits, tmp_path, training__best_by="macro_f1", training__epochs=6)

    best = max(epoch.validation_macro_f1 for epoch in trained.history)
    equal = [epoch for epoch in trained.history if epoch.validation_macro_f1 == best]
    assert trained.kept == min(equal, key=lambda epoch: epoch.validation_loss)
    assert trained.validation.figures.macro_f1 == pytest.approx(best)
    first, second = Epoch(1, 0.1, 0.0, 0.5, 0.8, 0.7, 1.0), Epoch(2, 0.1, 0.0, 0.6, 0.8, 0.75, 1.0)
    assert first.merit("loss") > second.merit("loss")
    assert first.merit("accuracy") > second.merit("accuracy")
    assert first.merit("macro_f1") < second.merit("macro_f1")


def test_both_losses_of_an_epoch_are_plain_cross_entropy(few_digits: Path, tmp_path: Path) -> None:
    """Whatever is learnt by: smoothed alone, a network that tells nothing apart would still have another loss."""
    plain, smoothed = (
        run(few_digits, tmp_path / str(share), training__label_smoothing=share, training__epochs=1, optimiser__learning_rate=1e-9)
        for share in (0.0, 0.9)
    )  # fmt: skip

    assert smoothed.history[0].training_loss == pytest.approx(plain.history[0].training_loss, abs=1e-4)


def test_the_last_epoch_is_kept_where_that_is_asked(few_digits: Path, tmp_path: Path) -> None:
    trained = run(few_digits, tmp_path, training__keep="last", training__epochs=3)

    assert trained.kept.number == 3
    assert trained.validation.accuracy == pytest.approx(trained.history[-1].validation_accuracy)


@pytest.mark.parametrize(
    ("batch_size", "what"),
    [(8, "the loss is"), (64, "the validation loss is")],
    ids=["a step", "the last step"],
)
def test_training_that_diverges_says_what_to_lower(
    batch_size: int, what: str, few_digits: Path, tmp_path: Path
) -> None:
    """Also where no step follows that would tell; nothing of it is kept as a training that is done."""
    with pytest.raises(TrainingRefused, match=rf"{what}.*diverged. Lower optimiser.learning_rate"):
        run(
            few_digits, tmp_path, training__epochs=1, training__batch_size=batch_size,
            optimiser__name="sgd", optimiser__learning_rate=1e30, optimiser__clip_norm=0.0,
        )  # fmt: skip

    assert not (tmp_path / STATE_FILE).exists()


def test_half_precision_on_the_cpu_is_refused_before_anything_is_read(
    few_digits: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingRefused, match="float16 needs CUDA"):
        run(few_digits, tmp_path, training__precision="float16")


@pytest.mark.parametrize(("per_digit", "is_fitted"), [(40, False), (60, True)])
def test_a_temperature_needs_thirty_pictures(per_digit: int, is_fitted: bool, tmp_path: Path) -> None:
    """24 and 36 on the validation side, of a network that is not right everywhere."""
    folder = write_digits(tmp_path / "digits", digits=(0, 1, 3), per_digit=per_digit)
    watcher = StopAt(10**6)

    trained = run(
        folder, tmp_path / "work", watcher, training__epochs=1, optimiser__learning_rate=1e-4, training__batch_size=32
    )  # fmt: skip

    assert trained.validation.accuracy < 1
    assert (trained.temperature != 1.0) is is_fitted
    assert any("no temperature is fitted" in line for line in watcher.said) is not is_fitted
    assert ("temperature" in trained.chosen_by_validation) is is_fitted


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_cuda_device_learns_the_same_task(precision: str, few_digits: Path, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")

    trained = run(
        few_digits, tmp_path, machine__device="cuda", training__precision=precision, training__epochs=20
    )

    assert trained.history[-1].training_loss < 0.5 * trained.history[0].training_loss


def test_a_group_larger_than_a_batch_is_refused(few_digits: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused, match=r"the group \d has \d pictures to train on, more than"):
        run(
            few_digits,
            tmp_path,
            data__group_by=r"(\d)\.png",
            training__batches="groups",
            training__batch_size=2,
        )


def test_an_odd_number_of_pictures_trains_in_pairs(tmp_path: Path) -> None:
    """Of 8 and 9 pictures 6 and 7 are trained on."""
    folder = write_digits(tmp_path / "digits", digits=(0,), per_digit=8)
    write_digits(folder, digits=(1,), per_digit=9)

    trained = run(folder, tmp_path / "work", training__batch_size=2, training__epochs=1, data__test_share=0.0)

    assert sum(each.side == "train" for each in trained.placed) % 2 == 1
    assert len(trained.history) == 1
