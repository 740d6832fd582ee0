"""`lineside explain`: a folder of pictures and one or more models -> one HTML report, and its numbers as JSON.

folder + bundles -> the server's own proof -> survey of all pictures -> a closer look at some -> report.html,
explanations.json; both written whole or not at all
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.bundles.problems import listed
from app.bundles.repository import Bundle, open_bundle, scan
from app.cli.bundle_argument import bundle_folder
from app.cli.explain_json import explanations_json
from app.cli.outputs import check_output, check_pair, is_stream, make_room, place_of, write_outputs
from app.errors import InvalidRequest
from app.evaluation.labelled import read_labelled
from app.evaluation.pictures import SUFFIXES, find_pictures
from app.evaluation.predictions import Limits
from app.explain.sentence import Language
from app.reports.asked import Asked, asked, shared_classes
from app.reports.closer import Shown, look_closer
from app.reports.explanations import Explanations
from app.reports.explanations_page import explanations_page
from app.reports.survey import Item, Reading, Survey, survey
from app.reports.words import WORDS
from app.settings import Settings
from app.wiring import Machine, prove
from app.wiring.machine import available_cores

MAX_MODELS = 3
"""More columns cannot be read on A4, and their depths would not fit on one sheet."""


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """What the command line says."""

    folder: Path
    models: tuple[str, ...]
    out: Path
    numbers: Path | None
    """None: explanations.json beside `out`."""
    layers: str | None
    max_pictures: int
    language: Language


def run_explain(settings: Settings, options: ExplainOptions) -> int:
    """Write the report; how many pictures could not be read.

    Raises:
        InvalidRequest, UnknownModel: the folder, the models or the files to write do not go together.
        BundleRefused: a model did not prove itself here.
    """
    console = Console(stderr=True, highlight=False)
    numbers = _checked_outputs(options)
    folders = _bundle_folders(options.models, settings.model_repository)
    bundles = [open_bundle(folder) for folder in folders]
    classes = shared_classes(bundles)
    items, notes = _items(options.folder, classes, bundles)
    reading = Reading(
        Limits(settings.max_body_bytes, settings.max_image_pixels),
        settings.image_threads or available_cores(),
        settings.batch_sizes,
    )
    for path in (options.out, numbers):
        if not is_stream(path):
            make_room(place_of(path).parent)
    with _proved(settings, folders, options.layers, console) as models, _progress(console) as progress:
        looking = progress.add_task("asking", total=len(items))
        found = survey(
            models, classes, items, reading, on_done=lambda count: progress.advance(looking, count)
        )
        if not found.seen:
            first = found.unread[0]
            raise InvalidRequest(
                f"none of the {len(items)} pictures could be read; {first.item.path.name}: {first.error.message}"
            )
        shown, lost = _closer(models, found, reading, options, progress)
        report = Explanations(
            folder=options.folder.absolute().name,
            made=datetime.now().astimezone(),
            models=tuple(models),
            survey=found,
            shown=shown,
            layers=options.layers,
            numbers_file=numbers.name,
            notes=(*notes, *lost),
        )
        page = explanations_page(report, WORDS[options.language])
        text = json.dumps(explanations_json(report), ensure_ascii=False) + "\n"
    files = ((options.out, page), (numbers, text.encode("utf-8", "replace")))
    write_outputs(*files)
    for path, data in files:
        console.print(f"wrote {escape(str(path))} ({len(data) / 1e6:.1f} MB)")
    for note in report.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    for unread in found.unread:
        console.print(f"[red]{escape(str(unread.item.path))}[/]: {escape(unread.error.message)}")
    return len(found.unread)


def _checked_outputs(options: ExplainOptions) -> Path:
    """Where the numbers go; told before the work, not after it, where something cannot be written."""
    check_output(options.out)
    if options.numbers is None and is_stream(options.out):
        raise InvalidRequest(
            f"{options.out} is no file that the numbers could lie beside: say where, --json FILE"
        )
    numbers = options.numbers or options.out.with_name("explanations.json")
    check_output(numbers)
    check_pair(("--out", options.out), ("--json", numbers))
    return numbers


def _bundle_folders(given: Sequence[str], repository: Path) -> list[Path]:
    if not given:
        listing = scan(repository)
        names = sorted({folder.name for folder in listing.found} | set(listing.unreadable))
        if len(names) != 1:
            there = listing.fault or f"the model repository holds {listed(names) if names else 'no bundle'}"
            raise InvalidRequest(f"--model: name the model; {there}")
        given = names
    folders = [bundle_folder(each, repository) for each in given]
    if len(set(folders)) < len(folders):
        raise InvalidRequest(
            "--model: the same bundle is named twice; name another version, or leave it away"
        )
    if len(folders) > MAX_MODELS:
        raise InvalidRequest(f"--model: {len(folders)} models; a page has room for {MAX_MODELS}")
    return folders


def _items(
    folder: Path, classes: Sequence[str], bundles: Sequence[Bundle]
) -> tuple[list[Item], tuple[str, ...]]:
    """Labelled where at least one subfolder is named after a class."""
    if not folder.is_dir():
        raise InvalidRequest(f"{folder} is not a folder of pictures")
    display = bundles[0].manifest.display
    names = {*classes, *(label for labels in display.values() for label in labels.values())}
    rooms = [entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    if names.intersection(rooms):
        labelled = read_labelled(folder, classes, display)
        return [Item(item.path, item.class_index) for item in labelled.items], labelled.notes
    files = [
        path
        for path in find_pictures([folder])
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not files:
        raise InvalidRequest(f"no pictures ({', '.join(sorted(SUFFIXES))}) in {folder.name}/")
    notes = []
    if rooms:
        notes.append(
            f"no subfolder is named after a class ({listed(classes)}), so nothing is counted as right or wrong"
        )
    return [Item(path, None) for path in files], tuple(notes)


@contextmanager
def _proved(
    settings: Settings, folders: Sequence[Path], layers: str | None, console: Console
) -> Iterator[list[Asked]]:
    """Every bundle as the server would prove it; all engines are closed at the end."""
    machine = Machine.of(settings)
    models: list[Asked] = []
    try:
        for folder in folders:
            with console.status(f"proving {folder.parent.name}/{folder.name}"):
                proved = prove(
                    folder,
                    machine=machine,
                    batch_sizes=settings.batch_sizes,
                    max_pixels=settings.max_image_pixels,
                )
            try:
                models.append(asked(proved, layers=layers))
            except InvalidRequest:
                proved.engine.close()
                raise
        yield models
    finally:
        for model in models:
            model.engine.close()


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _closer(
    models: Sequence[Asked], found: Survey, reading: Reading, options: ExplainOptions, progress: Progress
) -> tuple[tuple[Shown, ...], list[str]]:
    """The pictures that are shown, and notes on those that went away since they were counted."""
    chosen = found.chosen(options.max_pictures)
    task = progress.add_task("drawing", total=len(chosen))
    shown: list[Shown] = []
    lost: list[str] = []
    for each in look_closer(
        models,
        chosen,
        reading,
        options.language,
        on_done=lambda count: progress.advance(task, count),
    ):
        if isinstance(each, Shown):
            shown.append(each)
        else:
            lost.append(
                f"{each.item.path.name} was counted, but could not be read again to be drawn: {each.error.message}"
            )
    return tuple(shown), lost
