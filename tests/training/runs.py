"""Small trainings for tests: in this process, or as the command that users run."""

import contextlib
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from training.conftest import SMALL

from app.training.configuration import Configuration, read_configuration
from app.training.finetune import finetune
from app.training.trained import Trained
from app.training.watch import Watcher

MAX_PIXELS = 10**6


def small(**overrides: object) -> Configuration:
    """`training__epochs=3` stands for training.epochs = 3."""
    values = {key.replace("__", "."): value for key, value in overrides.items()}
    return read_configuration(SMALL.encode(), values, name="small.toml")


def run(
    folder: Path, work: Path, watcher: Watcher | None = None, *, restart: bool = False, **overrides: object
) -> Trained:
    return finetune(
        folder,
        small(**overrides),
        work_folder=work,
        restart=restart,
        max_pixels=MAX_PIXELS,
        watcher=watcher or Watcher(),
    )


def weights(trained: Trained) -> Tensor:
    return torch.cat([tensor.flatten().double() for tensor in trained.servable.state_dict().values()])


@dataclass
class StopAt(Watcher):
    """Asks to stop after this many steps; remembers what was said."""

    steps: int
    said: list[str] = field(default_factory=list)

    def stepped(self, epoch: int, step: int, steps: int, loss: float) -> None:
        self.steps -= 1

    def say(self, text: str) -> None:
        self.said.append(text)

    def wants_to_stop(self) -> bool:
        return self.steps <= 0


def start_command(folder: Path, config: Path, out: Path, *more: str) -> "subprocess.Popen[str]":
    command = Path(sys.executable).parent / "lineside"
    return subprocess.Popen(
        [command, "finetune", folder, "--config", config, "--out", out, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def files_of_at_most(byte_count: int) -> Iterator[None]:
    """The kernel refuses larger files, as a full disk would: a real failing write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (byte_count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
