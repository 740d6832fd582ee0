"""A training that was ended at any moment goes on to the very weights of one that never was."""

import contextlib
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from training.conftest import SMALL
from training.runs import StopAt, files_of_at_most, run, start_command, weights

from app.errors import TrainingRefused, TrainingStopped
from app.training.card import model_card
from app.training.trained import Trained
from app.training.watch import Watcher
from app.training.work import STATE_FILE, Epoch, clear, held


@pytest.fixture(scope="module")
def whole(few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Never interrupted."""
    return run(few_digits, tmp_path_factory.mktemp("work"))


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(
    whole: Trained, few_digits: Path, tmp_path: Path
) -> None:
    assert torch.equal(weights(run(few_digits, tmp_path / "a")), weights(whole))
    assert not torch.equal(weights(run(few_digits, tmp_path / "b", seed=1)), weights(whole))


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_training_stopped_after_every_step_ends_in_the_same_weights(
    optimiser: str, whole: Trained, few_digits: Path, tmp_path: Path
) -> None:
    """24 pictures in batches of 8, two epochs: six steps, each by another process in effect."""
    wanted = whole if optimiser == "adamw" else run(few_digits, tmp_path / "w", optimiser__name=optimiser)
    stops = 0
    while True:
        watcher = StopAt(1)
        try:
            trained = run(few_digits, tmp_path / "work", watcher, optimiser__name=optimiser)
            break
        except TrainingStopped:
            stops += 1

    assert stops == 6
    assert any("going on in epoch 2, step 4" in line for line in watcher.said)
    assert torch.equal(weights(trained), weights(wanted))
    assert [replace(e, seconds=0.0) for e in trained.history] == [
        replace(e, seconds=0.0) for e in wanted.history
    ]


def test_the_card_tells_the_time_of_all_processes_that_trained(whole: Trained) -> None:
    """Not of the one that ended it."""
    long = replace(whole, history=tuple(replace(epoch, seconds=1000.0) for epoch in whole.history))

    assert "2 epochs in 2000 s" in model_card(long)


def test_the_number_of_image_threads_and_the_cache_change_nothing(
    whole: Trained, few_digits: Path, tmp_path: Path
) -> None:
    trained = run(few_digits, tmp_path, machine__image_threads=3, machine__cache_mib=0)

    assert torch.equal(weights(trained), weights(whole))


@pytest.mark.slow
def test_a_process_killed_while_it_writes_loses_nothing(few_digits: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of a checkpoint's write, in the middle of an epoch; then the same command again.

    Processes are compared with processes: in one that has run hundreds of other tests, float32 sums came out in another
    order than in a fresh one.
    """
    config, out = tmp_path / "small.toml", tmp_path / "models" / "digits"
    # The same network, but saved after every step of many epochs, so that there is a write to hit.
    config.write_text(SMALL.replace("epochs = 2", "epochs = 2\ncheckpoint_every_s = 0.0"), "utf-8")
    work = tmp_path / "models" / ".training-digits"
    process = start_command(few_digits, config, out)
    try:
        _wait_for((work / STATE_FILE).exists, process)
        _wait_for(lambda: any(work.glob(f".{STATE_FILE}.writing-*")), process, pause_s=0.0)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()

    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    (work / f".{STATE_FILE}.writing-0badc0de").write_bytes(b"half of a checkpoi")
    never_interrupted = tmp_path / "models" / "whole"
    again, whole = (start_command(few_digits, config, place) for place in (out, never_interrupted))
    said, _ = again.communicate()
    whole.communicate()

    assert (again.returncode, whole.returncode) == (0, 0), said
    assert "going on in epoch" in said
    ours, theirs = (
        safetensors.torch.load_file(folder / "1" / "weights.safetensors")
        for folder in (out, never_interrupted)
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not list(work.glob(".*.writing-*"))


@pytest.mark.slow
def test_a_process_killed_at_ten_random_moments_loses_nothing(few_digits: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "small.toml", tmp_path / "models" / "digits"
    config.write_text(SMALL.replace("epochs = 2", "epochs = 60\ncheckpoint_every_s = 0.05"), "utf-8")
    work = tmp_path / "models" / ".training-digits"
    for number in range(10):
        process = start_command(few_digits, config, out)
        with contextlib.suppress(Exception):
            _wait_for((work / STATE_FILE).exists, process)
            process.wait(5 + 0.37 * number)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    trained = run(few_digits, work, training__epochs=60)

    assert torch.equal(weights(trained), weights(run(few_digits, tmp_path / "w", training__epochs=60)))


def test_ctrl_c_saves_says_how_to_go_on_and_leaves_no_bundle(few_digits: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "small.toml", tmp_path / "models" / "digits"
    config.write_text(SMALL.replace("epochs = 2", "epochs = 100000"), "utf-8")
    process = start_command(few_digits, config, out)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 2"):
            break

    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "Run the same command again to go on" in " ".join(rest.split())
    assert not out.exists()
    assert (out.parent / ".training-digits" / STATE_FILE).stat().st_size > 10_000


@dataclass
class StopWhenMeasured(Watcher):
    """Somebody presses Ctrl-C while the last epoch is measured, after the last question of a step."""

    measured: bool = False

    def ended(self, epoch: Epoch) -> None:
        self.measured = epoch.number == 2

    def wants_to_stop(self) -> bool:
        return self.measured


def test_ctrl_c_after_the_last_step_stops_too(whole: Trained, few_digits: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped, match="stopped after epoch 2"):
        run(few_digits, tmp_path, StopWhenMeasured())

    watcher = StopAt(10**6)
    assert torch.equal(weights(run(few_digits, tmp_path, watcher)), weights(whole))
    assert "the training is done already; what is left is the bundle" in watcher.said


def test_another_configuration_does_not_go_on_where_this_one_stopped(
    few_digits: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingStopped):
        run(few_digits, tmp_path, StopAt(2))

    with pytest.raises(TrainingRefused, match="--restart"):
        run(few_digits, tmp_path, optimiser__learning_rate=0.02)

    watcher = StopAt(10**6)
    run(few_digits, tmp_path, watcher, restart=True, optimiser__learning_rate=0.02)
    assert not any("going on" in line for line in watcher.said)


def test_a_damaged_state_is_refused(few_digits: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped):
        run(few_digits, tmp_path, StopAt(2))
    state = tmp_path / STATE_FILE
    state.write_bytes(state.read_bytes()[:-100])

    with pytest.raises(TrainingRefused, match="cannot be read"):
        run(few_digits, tmp_path)


def test_a_full_disk_is_said_and_what_was_saved_stays_whole(
    whole: Trained, few_digits: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingStopped):
        run(few_digits, tmp_path, StopAt(2))
    before = (tmp_path / STATE_FILE).read_bytes()

    with (
        files_of_at_most(100_000),
        pytest.raises(TrainingRefused, match=r"cannot be written.*run the same command"),
    ):
        run(few_digits, tmp_path)

    assert (tmp_path / STATE_FILE).read_bytes() == before
    assert not list(tmp_path.glob(".*.writing-*"))
    assert torch.equal(weights(run(few_digits, tmp_path)), weights(whole))


def test_weights_that_no_state_speaks_of_are_not_taken_for_the_best(few_digits: Path, tmp_path: Path) -> None:
    """The disk was full between the two files; another training in the same folder then has an epoch 1 of its own."""
    with held(tmp_path, "", restart=False):
        pass
    stale = torch.full((2,), 9.0)
    safetensors.torch.save_file({"nothing.of.this.network": stale}, tmp_path / "best-0001.safetensors")
    with pytest.raises(TrainingStopped):
        run(few_digits, tmp_path, StopAt(4))

    kept = safetensors.torch.load_file(tmp_path / "best-0001.safetensors")

    assert "nothing.of.this.network" not in kept


def test_a_finished_training_whose_bundle_is_missing_says_so(few_digits: Path, tmp_path: Path) -> None:
    run(few_digits, tmp_path)
    watcher = StopAt(10**6)

    run(few_digits, tmp_path, watcher)

    assert "the training is done already; what is left is the bundle" in watcher.said


def test_one_process_at_a_time_trains_in_a_folder(few_digits: Path, tmp_path: Path) -> None:
    with held(tmp_path, "", restart=False), pytest.raises(TrainingRefused, match="another process"):
        run(few_digits, tmp_path)


def test_clearing_takes_only_what_training_wrote(few_digits: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with pytest.raises(TrainingStopped):
        run(few_digits, work, StopAt(4))
    mine = {
        "notes.txt", "lock", "best-model.safetensors", "best-12.safetensors", ".mine.writing-1",
    }  # fmt: skip
    for name in mine:
        (work / name).write_text("mine", "utf-8")
    run(few_digits, work)

    clear(work)

    assert {path.name: path.read_text("utf-8") for path in work.iterdir()} == dict.fromkeys(mine, "mine")


@pytest.mark.parametrize("is_there_before", [True, False])
def test_a_folder_goes_again_where_the_training_made_it(is_there_before: bool, tmp_path: Path) -> None:
    work = tmp_path / "work"
    if is_there_before:
        work.mkdir()
    for _ in range(2):  # another process goes on there
        with held(work, "", restart=False):
            pass

    clear(work)

    assert work.exists() is is_there_before


@pytest.mark.parametrize("name", ["best-model.safetensors", "state.safetensors", "lock", "thesis.odt"])
def test_a_folder_of_other_things_is_no_place_for_a_training(
    name: str, few_digits: Path, tmp_path: Path
) -> None:
    """Told before a picture is read, and nothing in it is touched."""
    (tmp_path / name).write_text("mine", "utf-8")
    watcher = StopAt(10**6)

    with pytest.raises(TrainingRefused, match="something else already"):
        run(few_digits, tmp_path, watcher, restart=True)

    assert [(path.name, path.read_text("utf-8")) for path in tmp_path.iterdir()] == [(name, "mine")]
    assert watcher.said == []


def test_state_holds_numbers_only(few_digits: Path, tmp_path: Path) -> None:
    """safetensors and JSON: nothing in it could run."""
    with pytest.raises(TrainingStopped):
        run(few_digits, tmp_path, StopAt(2))

    tensors = safetensors.torch.load_file(tmp_path / STATE_FILE)

    assert {name.partition(".")[0] for name in tensors} == {"network", "optimiser"}


def _wait_for(condition: object, process: object, *, pause_s: float = 0.002) -> None:
    end = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()[0]  # type: ignore[attr-defined]
        assert time.monotonic() < end
        time.sleep(pause_s)
