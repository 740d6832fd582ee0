"""`lineside verify`: whether a bundle answers on this machine as it did when it was made, and what labels say of it.

bundle -> the server's own proof -> golden table -> [labelled folder -> figures] -> table or JSON, exit code
"""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.bundles.repository import open_bundle
from app.cli.bundle_argument import bundle_folder
from app.cli.verify_report import Status, Verified, print_verified
from app.errors import BundleRefused, LinesideError
from app.evaluation.labelled import LabelledFolder, read_labelled
from app.evaluation.origins import Met, digests_of, met_before, sides_of
from app.evaluation.predictions import Limits, Predictions, predict_items
from app.settings import Settings
from app.wiring import Machine, Proved, examine, unproved
from app.wiring.machine import available_cores

EXIT_CODES: Mapping[Status, int] = {"proved": 0, "refused": 1, "invalid": 2}


def run_verify(settings: Settings, bundle: str, *, labelled: Path | None, as_json: bool) -> int:
    """Report and exit code."""
    verified = verified_bundle(settings, bundle, labelled=labelled)
    print_verified(verified, as_json=as_json)
    return EXIT_CODES[verified.status]


def verified_bundle(settings: Settings, given: str, *, labelled: Path | None) -> Verified:
    """Prove it, then ask it; every expected error becomes the report's reason."""
    try:
        folder = bundle_folder(given, settings.model_repository)
        machine = Machine.of(settings)
        # Opened once more by the proof: a misspelt class folder is told before the network is built.
        bundle = open_bundle(folder)
        pictures = None
        if labelled is not None:
            pictures = read_labelled(labelled, bundle.classes, bundle.manifest.display)
        proved = examine(
            folder,
            machine=machine,
            batch_sizes=settings.batch_sizes,
            max_pixels=settings.max_image_pixels,
        )
        try:
            predictions = None if pictures is None else _predictions(settings, proved, pictures)
        finally:
            proved.engine.close()
    except BundleRefused as error:
        return Verified(given, "refused", error.message)
    except LinesideError as error:
        return Verified(given, "invalid", error.message)
    reason = unproved(proved)
    notes = () if pictures is None else pictures.notes
    met = Met()
    if predictions is not None and (sides := sides_of(folder)):
        met = met_before(sides, digests_of(item.path for item in predictions.items))
    return Verified(given, "refused" if reason else "proved", reason, proved, notes, predictions, met)


def _predictions(settings: Settings, proved: Proved, pictures: LabelledFolder) -> Predictions:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("predicting", total=len(pictures.items))
        return predict_items(
            proved.engine,
            proved.bundle.geometry,
            pictures.items,
            proved.bundle.classes,
            batch_sizes=settings.batch_sizes,
            threads=settings.image_threads or available_cores(),
            limits=Limits(settings.max_body_bytes, settings.max_image_pixels),
            on_done=lambda count: progress.advance(task, count),
        )
