"""`lineside finetune`: a folder of photographs becomes a bundle that has proved itself.

options + TOML -> Configuration -> Trained -> bundle in its place -> what was measured, as a table

Ctrl-C and SIGTERM end it after the step that runs, with everything saved; the same command goes on.
"""

import signal
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.bundles.manifest_text import describe
from app.bundles.repository import place_of
from app.cli.bundle_argument import free_place
from app.cli.import_options import PRESETS
from app.errors import TrainingRefused, TrainingStopped
from app.settings import load_settings
from app.training.bundle import check_place, put_in_place
from app.training.configuration import Configuration, read_configuration
from app.training.configuration_text import write_configuration
from app.training.finetune import finetune
from app.training.tensorboard import TensorBoard
from app.training.trained import Trained
from app.training.watch import Watcher, Watchers
from app.training.work import Epoch, clear
from app.wiring import Proved

GO_ON: Final = "Run the same command again to go on"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, as given."""

    folder: Path | None
    out: Path | None
    config: Path | None
    values: Mapping[str, object]
    """Dotted key -> value, of the options that stand for one key; None: not given."""
    settings: Sequence[str]
    """KEY=VALUE, the value as in TOML."""
    preprocess: str | None
    work: Path | None
    restart: bool
    tensorboard: Path | None

    def configuration(self) -> Configuration:
        """The file, and over it the options; raises TrainingRefused."""
        data, name = b"", "the command line"
        if self.config is not None:
            name = self.config.name
            try:
                data = self.config.read_bytes()
            except OSError as error:
                raise TrainingRefused(f"--config {self.config}: {error.strerror}") from error
        given: dict[str, object] = {}
        if self.preprocess is not None:
            given["preprocess"] = _preprocess(self.preprocess)
        for setting in self.settings:
            key, value = _setting(setting)
            given[key] = value
        given |= {key: value for key, value in self.values.items() if value is not None}
        if not data and "architecture" not in given:
            raise TrainingRefused("say which network: --architecture resnet50, or --config FILE")
        return read_configuration(data, given, name=name)


def run_finetune(options: Options) -> None:
    """All of it; raises LinesideError."""
    max_pixels = load_settings().max_image_pixels
    configuration = options.configuration()
    if options.folder is None:
        raise TrainingRefused("say which photographs: a folder that holds a folder for each class")
    if options.out is None:
        raise TrainingRefused("say where the bundle goes: --out models/NAME")
    place = free_place(options.out)
    name, _ = place_of(place)
    check_place(place)
    work_folder = options.work or place.parent.parent / f".training-{name}"
    board = TensorBoard(options.tensorboard) if options.tensorboard else None
    with Screen() as screen, closing(board) if board else nullcontext():
        watcher = Watchers([screen, board]) if board else screen
        try:
            with _stopping(screen):
                trained = finetune(
                    options.folder,
                    configuration,
                    work_folder=work_folder,
                    restart=options.restart,
                    max_pixels=max_pixels,
                    watcher=watcher,
                )
        except TrainingStopped as stopped:
            raise TrainingStopped(f"{stopped.message}. {GO_ON}") from stopped
        if screen.is_asked_to_stop:
            raise TrainingStopped(f"stopped before the bundle was written; the training is saved. {GO_ON}")
        # From here on Ctrl-C ends it at once: what is half made goes, and the training is kept.
        proved = put_in_place(trained, place, max_pixels=max_pixels)
    clear(work_folder)
    _show(trained, proved, place, screen.console)


def print_configuration(options: Options) -> str:
    """The whole configuration as it would be used, with every default."""
    return write_configuration(options.configuration())


class Screen(Watcher):
    """Bars while it works, one line for what is said."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.is_asked_to_stop = False
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn(),
            console=self.console, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task("", note="", start=False, visible=False)

    def __enter__(self) -> "Screen":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, markup=False, soft_wrap=True)

    def reading(self, done: int, count: int) -> None:
        """A bar over the pictures."""
        self._bar("reading pictures", done, count, f"{done}/{count}")
        if self.is_asked_to_stop:
            raise TrainingStopped("stopped before anything was trained")

    def stepped(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """A bar over the epoch."""
        self._bar(f"epoch {epoch}", step, steps, f"loss {loss:.4f}")

    def ended(self, epoch: Epoch) -> None:
        """A line for each epoch."""
        self.say(
            f"epoch {epoch.number}: loss {epoch.training_loss:.4f}, validation loss {epoch.validation_loss:.4f}, "
            f"accuracy {epoch.validation_accuracy:.2%}, macro F1 {epoch.validation_macro_f1:.3f}, learning rate {epoch.learning_rate:.2g}, {epoch.seconds:.0f} s"
        )

    def wants_to_stop(self) -> bool:
        """After Ctrl-C."""
        return self.is_asked_to_stop

    def _bar(self, title: str, done: int, count: int, note: str) -> None:
        if done == 1:
            self._progress.reset(self._task, total=count, description=title, note=note, visible=True)
        self._progress.update(
            self._task, description=title, total=count, completed=done, note=note, visible=True
        )


@contextmanager
def _stopping(screen: Screen) -> Iterator[None]:
    """The first Ctrl-C asks, the second ends at once; SIGTERM is what docker stop sends."""

    def ask(number: int, _: FrameType | None) -> None:
        if screen.is_asked_to_stop:
            signal.signal(number, before[number])
            raise KeyboardInterrupt
        screen.is_asked_to_stop = True
        screen.say("stopping after this step; once more to end at once, without saving")

    before: dict[int, Any] = {
        number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(trained: Trained, proved: Proved, place: Path, console: Console) -> None:
    table = Table("side", "pictures", "right", "accuracy")
    for measured in (trained.validation, trained.test):
        if measured is not None:
            accuracy = f"{measured.accuracy:.2%}" if measured.claims_accuracy else "not claimed"
            table.add_row(measured.side, f"{len(measured.labels)}", f"{measured.right}", accuracy)
    console.print(table)
    console.print(f"epoch {trained.kept.number} of {len(trained.history)} was kept: {trained.why_kept}")
    if trained.damaged:
        console.print(f"{len(trained.damaged)} pictures could not be used; training/split.csv lists them")
    console.print(
        f"wrote {place} ({proved.bundle.digest[:19]}), proved on this machine", markup=False, soft_wrap=True
    )


def _setting(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise TrainingRefused(f"--set {text}: write KEY=VALUE, such as training.epochs=30")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()  # a bare word needs no quotes: a shell eats them anyway


def _preprocess(name: str) -> object:
    """A preset's name or a TOML file, as the [preprocess] table."""
    if name in PRESETS:
        geometry, normalisation = PRESETS[name]
        manifest = describe(
            architecture="any", classes=["a", "b"], geometry=geometry, normalisation=normalisation
        )
        return manifest.preprocess.model_dump(exclude_none=True)
    try:
        table = tomllib.loads(Path(name).read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise TrainingRefused(
            f"--preprocess {name}: neither a preset ({', '.join(PRESETS)}) nor a TOML file"
        ) from error
    if "preprocess" not in table:
        raise TrainingRefused(f"--preprocess {name}: there is no [preprocess] table in it")
    return table["preprocess"]
