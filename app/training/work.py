"""The folder in which a training keeps what it needs to go on after a kill at any moment.

tensors + where it stands -> state.safetensors, one file by one rename -> the same again

Numbers and JSON only; nothing in it can run code. What was half written by a killed process is never looked
at and removed by the next one. One process at a time holds the folder. A folder in which anything else lies is
refused, and only what a training wrote is ever removed.
"""

import fcntl
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import safetensors
import safetensors.torch
from torch import Tensor

from app.bundles.files import write_atomically
from app.errors import TrainingRefused

BestBy = Literal["loss", "accuracy", "macro_f1"]
"""What of the validation side tells the best epoch."""
STATE_FILE: Final = "state.safetensors"
MARK: Final = ".lineside-training"
"""Lies in a folder in which we train, and is locked by the process that does."""
MADE: Final = b"made by lineside finetune, which removes it when it is done\n"
"""What the mark says in a folder that was not there before."""
BEST: Final = "best-{:04}.safetensors"
OURS: Final = re.compile(r"best-\d{4,}\.safetensors")
HALF_WRITTEN: Final = re.compile(r"\.(state|best-\d{4,})\.safetensors\.writing-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of history.csv."""

    number: int
    """From 1."""
    learning_rate: float
    """Of its last step."""
    training_loss: float
    """Mean cross-entropy in nats over the epoch's augmented pictures, while the weights moved; without smoothing or
    class weights, so that it may be laid beside the next."""
    validation_loss: float
    """Mean cross-entropy in nats after it, likewise."""
    validation_accuracy: float
    validation_macro_f1: float
    seconds: float

    def merit(self, best_by: BestBy) -> tuple[float, float]:
        """The larger the better, and the lower loss where two are equal."""
        measured = {
            "loss": -self.validation_loss,
            "accuracy": self.validation_accuracy,
            "macro_f1": self.validation_macro_f1,
        }
        return measured[best_by], -self.validation_loss


@dataclass(slots=True)
class Standing:
    """Where a training stands: between two steps."""

    epoch: int = 0
    """The one that runs, from 0."""
    step: int = 0
    """Batches of it that are done."""
    loss_sum: float = 0.0
    """Cross-entropy, over the pictures of these batches."""
    seconds: float = 0.0
    """Of this epoch, over all processes that worked on it."""
    history: list[Epoch] = field(default_factory=list)
    best_epoch: int | None = None
    """Number of the epoch whose weights lie in best-NNNN.safetensors."""
    scaler: dict[str, float] = field(default_factory=dict)
    """Of float16's loss scaling."""

    def close_epoch(self, epoch: Epoch) -> None:
        """The epoch is done and measured; the next one stands before its first step."""
        self.history.append(epoch)
        self.epoch, self.step, self.loss_sum, self.seconds = epoch.number, 0, 0.0, 0.0


class Work:
    """The folder, held by this process."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder
        self._identity = identity

    def save(
        self, standing: Standing, tensors: Mapping[str, Tensor], best: Mapping[str, Tensor] | None
    ) -> None:
        """All or nothing, also through a power cut; raises TrainingRefused where the disk is full.

        The best weights come first, under a name of their own; the state that speaks of them follows, and
        only then those go that no state speaks of.
        """
        if best is not None and standing.best_epoch is not None:
            name = BEST.format(standing.best_epoch)
            if not (self.folder / name).exists():
                self._write(name, safetensors.torch.save(dict(best)))
        note = {"identity": self._identity, "standing": json.dumps(asdict(standing))}
        self._write(STATE_FILE, safetensors.torch.save(dict(tensors), note))
        for path in _best_files(self.folder):
            if standing.best_epoch is None or path.name != BEST.format(standing.best_epoch):
                path.unlink(missing_ok=True)

    def load(self) -> tuple[Standing, dict[str, Tensor]] | None:
        """None where nothing was saved.

        Raises:
            TrainingRefused: it is of another configuration or folder, or damaged.
        """
        path = self.folder / STATE_FILE
        if not path.exists():
            return None
        anew = f"--restart throws it away ({path.parent})"
        try:
            with safetensors.safe_open(path, "pt") as file:
                note = file.metadata() or {}
                if note.get("identity") != self._identity:
                    raise TrainingRefused(
                        "an interrupted training of this name used another configuration or other photographs; "
                        f"run that command again to finish it, or {anew}"
                    )
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
            standing = _standing(json.loads(note["standing"]))
        except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingRefused(f"the interrupted training cannot be read ({error}); {anew}") from error
        return standing, tensors

    def load_best(self, number: int) -> dict[str, Tensor]:
        """The weights of this epoch; raises TrainingRefused."""
        try:
            return safetensors.torch.load_file(self.folder / BEST.format(number))
        except (safetensors.SafetensorError, OSError) as error:
            raise TrainingRefused(
                f"the weights of epoch {number} are gone from {self.folder}; --restart begins anew"
            ) from error

    def _write(self, name: str, data: bytes) -> None:
        try:
            write_atomically(self.folder / name, data)
        except OSError as error:
            raise TrainingRefused(
                f"{name} ({len(data) / 2**20:.0f} MiB) cannot be written to {self.folder}: {error.strerror}. What was saved "
                "before is whole; make room and run the same command again"
            ) from error


def _standing(values: dict[str, Any]) -> Standing:
    return Standing(**(values | {"history": [Epoch(**each) for each in values["history"]]}))


def refuse_foreign(folder: Path) -> None:
    """Raises TrainingRefused where something else than an interrupted training lies there: nobody's files are touched."""
    try:
        if not folder.exists() or (folder / MARK).is_file():
            return
        if folder.is_dir() and next(folder.iterdir(), None) is None:
            return
    except OSError as error:
        raise TrainingRefused(f"{folder} cannot be used: {error.strerror}") from error
    raise TrainingRefused(
        f"--work {folder}: there is something else already; name a new folder, or an empty one"
    )


@contextmanager
def held(folder: Path, identity: str, *, restart: bool) -> Iterator[Work]:
    """The folder for this process alone, made where it is not there.

    Raises:
        TrainingRefused: another process trains there, something else lies there, or it cannot be made.
    """
    refuse_foreign(folder)
    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / MARK).open("ab")
    except OSError as error:
        raise TrainingRefused(f"{folder} cannot be made: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TrainingRefused(f"another process is training in {folder}") from error
        if is_new:
            lock.write(MADE)
            lock.flush()
        work = Work(folder, identity)
        for path in folder.iterdir():
            if HALF_WRITTEN.fullmatch(path.name):  # of a process that was killed while it wrote
                path.unlink(missing_ok=True)
        if restart or not (folder / STATE_FILE).exists():
            # Best weights that no state speaks of may be of another training: the disk was full for the state.
            _remove_states(folder)
        yield work


def clear(folder: Path) -> None:
    """Removes what a training wrote there, and the folder where it was made for it and nothing else lies in it."""
    mark = folder / MARK
    was_made = mark.is_file() and mark.read_bytes().startswith(MADE)
    _remove_states(folder)
    mark.unlink(missing_ok=True)
    if was_made:
        with suppress(OSError):
            folder.rmdir()


def _remove_states(folder: Path) -> None:
    for path in (folder / STATE_FILE, *_best_files(folder)):
        path.unlink(missing_ok=True)


def _best_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if OURS.fullmatch(path.name)]
