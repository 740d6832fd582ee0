"""`lineside tune`: how fast one bundle is here in every way that it could be served, and the settings for the best.

bundle + pictures -> the server's own engines, measured in turn -> choice -> table or JSON, plot, env file

Engine, precision, threads and batch sizes of the environment are passed over, since they are what is looked for.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from app.bundles.repository import Bundle, open_bundle
from app.cli.bundle_argument import bundle_folder
from app.cli.outputs import check_output, check_pair, is_stream, place_of, write_outputs
from app.cli.tune_report import print_tuned
from app.errors import InvalidRequest, RequestError, SelfTestFailed
from app.evaluation.labelled import spread_by
from app.evaluation.pictures import SUFFIXES, find_pictures, read_picture
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.reports.tuning_chart import tuning_chart
from app.settings import Settings
from app.tuning.choosing import Limits, choose
from app.tuning.configurations import batch_sizes
from app.tuning.env_file import env_text
from app.tuning.here import Load, here
from app.tuning.measured import Measured
from app.tuning.measuring import Tell, contenders, measure
from app.wiring import Machine
from app.wiring.machine import available_cores

MAX_PICTURES = 8
"""Twelve megapixels take a tenth of a second each, and all of them are decoded at every visit."""


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """The command line, as given."""

    bundle: str
    images: Path | None
    seconds: float
    out: Path
    plot: Path
    force: bool


def run_tune(settings: Settings, options: TuneOptions, *, as_json: bool) -> None:
    """All of it.

    Raises:
        InvalidRequest: the files to be written or the pictures.
        BundleRefused: nothing here can run the bundle, or its golden images hold nowhere.
    """
    check_outputs(options)
    bundle = open_bundle(bundle_folder(options.bundle, settings.model_repository))
    measured = measured_bundle(settings, bundle, options)
    limits = Limits(settings.default_deadline_ms / 1000, settings.max_requests, settings.max_queue_bytes)
    chosen = choose(measured, limits)
    print_tuned(measured, chosen, limits, as_json=as_json)
    if chosen is None:
        refusals = dict.fromkeys(row.refusal for row in measured.rows if row.refusal is not None)
        why = "; ".join(refusals) or "without golden images only float32 may serve, and it does not run here"
        raise SelfTestFailed(f"nothing can be recommended: {why}")
    files = (
        (options.plot, tuning_chart(measured, chosen.configuration)),
        (options.out, env_text(chosen, measured, limits).encode("utf-8")),
    )
    write_outputs(*files, replaces=options.force)
    console = Console(stderr=True, highlight=False)
    for path, _ in files:
        console.print(f"wrote {escape(str(path))}", soft_wrap=True)


def measured_bundle(settings: Settings, bundle: Bundle, options: TuneOptions) -> Measured:
    """Every figure, before anything is chosen; errors as `run_tune`."""
    pictures, notes = _pictures(settings, bundle, options.images)
    machine = replace(
        Machine.of(settings.model_copy(update={"engine": "auto", "precision": "auto"})), layer_maps="off"
    )
    load = Load()
    sizes = batch_sizes(machine.device)
    with (
        _telling() as tell,
        contenders(
            bundle,
            machine,
            cores=available_cores(),
            batch_sizes=sizes,
            max_pixels=settings.max_image_pixels,
            tell=tell,
        ) as (ready, missing),
    ):
        started = time.perf_counter()
        rows, costs = measure(
            ready,
            pictures,
            bundle.geometry,
            batch_sizes=sizes,
            max_pixels=settings.max_image_pixels,
            seconds=options.seconds,
            tell=tell,
        )
        spent = time.perf_counter() - started
        runtimes = tuple(dict.fromkeys(row.configuration.runtime for row in rows))
        machine_now = here(machine.device, runtimes, load)
        size = ready[0].engine.input_size
    return Measured(
        name=bundle.name,
        version=bundle.version,
        is_quantised=bundle.manifest.quantization is not None,
        image_bytes=size.height * size.width * 3,
        here=machine_now,
        rows=rows,
        pictures=costs,
        seconds=spent,
        notes=(*missing, *notes),
    )


def _pictures(settings: Settings, bundle: Bundle, folder: Path | None) -> tuple[list[bytes], list[str]]:
    """At most `MAX_PICTURES` files that this model can be asked about, and what was passed over."""
    sources: list[tuple[str, Callable[[], bytes]]]
    if folder is not None:
        found = find_pictures([folder])
        if not found:
            raise InvalidRequest(f"no pictures ({', '.join(sorted(SUFFIXES))}) under {folder}")
        folders = sorted({path.parent for path in found})
        sources = [
            (path.name, partial(read_picture, path, settings.max_body_bytes))
            for path in spread_by(found, MAX_PICTURES, lambda path: folders.index(path.parent))
        ]
    elif (golden := bundle.golden) is not None:
        images = spread_by(golden.images, MAX_PICTURES, lambda _: 0)
        sources = [(image.file, partial(golden.read, image)) for image in images]
    else:
        raise InvalidRequest(
            f"{bundle.name}/{bundle.version} has no golden images to measure decoding with: give --images FOLDER with some "
            "pictures of the line's camera"
        )
    pictures: list[bytes] = []
    notes: list[str] = []
    for name, read in sources:
        try:
            data = read()
            preprocess(
                decode(
                    data, geometry=bundle.geometry, max_pixels=settings.max_image_pixels, keeps_picture=False
                ),
                bundle.geometry.steps,
            )
        except RequestError as error:
            notes.append(f"{name} was passed over: {error.message}")
        else:
            pictures.append(data)
    if not pictures:
        raise InvalidRequest(f"none of the pictures could be read; {notes[0]}")
    return pictures, notes


# --- files -------------------------------------------------------------------------------------


def check_outputs(options: TuneOptions) -> None:
    """Before the minute of work, not after it.

    Raises:
        InvalidRequest: a file is there already, or cannot be written.
    """
    for path in (options.out, options.plot):
        check_output(path, replaces=options.force)
        folder = place_of(path).parent
        if not is_stream(path) and not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise InvalidRequest(f"{path} cannot be written: its folder is not there or read-only")
    check_pair(("--out", options.out), ("--plot", options.plot))


@contextmanager
def _telling() -> Iterator[Tell]:
    """A bar on standard error that draws itself only when told: a thread of its own would be measured too."""
    columns = (TextColumn("{task.description}"), BarColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=1.0)

        def tell(stage: str, share: float) -> None:
            progress.update(task, description=escape(stage), completed=share, refresh=True)

        yield tell
