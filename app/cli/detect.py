"""`lineside detect-preprocess`: which preprocessing a bundle's model was trained with, told by labelled pictures.

bundle + labelled folder -> load -> hold -> detect -> report [-> a new version with what was found]
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.bundles.golden import GoldenPicture
from app.bundles.manifest import CalibrationTable, Manifest
from app.bundles.manifest_text import describe
from app.bundles.repository import Bundle
from app.cli.bundle_argument import bundle_folder, next_version
from app.cli.detect_report import Detected, Status, print_detected
from app.cli.import_options import MAX_GOLDEN_PICTURES, golden_name
from app.cli.importing import written
from app.engines.torch_engine import TorchEngine, resolve_device, use_threads
from app.errors import BundleRefused, InvalidRequest, LinesideError
from app.evaluation.declarations import Declaration
from app.evaluation.detective import detect
from app.evaluation.findings import Findings
from app.evaluation.held import HeldPictures, Witness, hold
from app.evaluation.labelled import LabelledFolder, read_labelled, spread
from app.evaluation.pictures import read_picture
from app.evaluation.predictions import Limits
from app.images.preprocess import preprocess
from app.nets.architectures import get_architecture
from app.nets.servable import Servable, behind
from app.settings import Settings
from app.wiring.machine import available_cores
from app.wiring.networks import load

EXIT_CODES: Mapping[Status, int] = {"holds": 0, "other": 1, "open": 2, "invalid": 2, "refused": 2}


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """The command line, as given."""

    bundle: str
    labelled: Path
    pictures: int = 40
    writes: bool = False


def run_detect(settings: Settings, options: DetectOptions, *, as_json: bool) -> int:
    """Report and exit code."""
    detected = detected_preprocessing(settings, options)
    print_detected(detected, as_json=as_json)
    return EXIT_CODES[detected.status]


def detected_preprocessing(settings: Settings, options: DetectOptions) -> Detected:
    """Investigate; every expected error becomes the report's reason."""
    started = time.perf_counter()
    try:
        folder = bundle_folder(options.bundle, settings.model_repository)
        device = resolve_device(settings.device)
        use_threads(settings.inference_threads)
        # No golden image is asked: they were recorded under the very preprocessing that is in doubt.
        bundle, servable, _ = load(folder)
        labelled = read_labelled(options.labelled, bundle.classes, bundle.manifest.display)
        held, findings, has_memory = _investigated(settings, options, bundle, servable, labelled, device)
        proved = None
        if options.writes and findings.verdict == "other":
            proved = written(*_new_version(settings, bundle, servable, findings, labelled))
    except BundleRefused as error:
        return Detected(options.bundle, "refused", error.message)
    except LinesideError as error:
        return Detected(options.bundle, "invalid", error.message)
    return Detected(
        options.bundle,
        findings.verdict,
        None,
        bundle,
        findings,
        held=held,
        notes=labelled.notes,
        has_memory=has_memory,
        seconds=time.perf_counter() - started,
        written=proved,
    )


def _investigated(
    settings: Settings,
    options: DetectOptions,
    bundle: Bundle,
    servable: Servable,
    labelled: LabelledFolder,
    device: str,
) -> tuple[HeldPictures, Findings, bool]:
    """Behind a progress bar; raises InvalidRequest where no picture can be read."""
    items = spread(labelled.items, options.pictures)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    threads = settings.image_threads or available_cores()
    with (
        Progress(*columns, console=console, transient=True) as progress,
        ThreadPoolExecutor(threads, thread_name_prefix="image") as pool,
    ):
        task = progress.add_task("decoding", total=len(items))
        held = hold(
            items,
            bundle.geometry,
            Limits(settings.max_body_bytes, settings.max_image_pixels),
            on_done=lambda count: progress.advance(task, count),
        )
        if not held.pictures:
            raise InvalidRequest("--labelled: none of the pictures can be read")
        witness = Witness(servable, held, device, pool)
        try:
            findings = detect(
                witness,
                Declaration(bundle.geometry.steps, bundle.manifest.normalisation()),
                bundle.classes,
                least_side=get_architecture(bundle.manifest.architecture).least_side,
                on_progress=lambda stage, done, total: progress.update(
                    task, description=stage, completed=done, total=total
                ),
            )
        finally:
            witness.close()
    return held, findings, not witness.memory.is_empty


def _new_version(
    settings: Settings, bundle: Bundle, servable: Servable, findings: Findings, labelled: LabelledFolder
) -> tuple[Path, Manifest, Servable, list[GoldenPicture]]:
    """Where it goes, what it says, and labelled pictures as golden images under the new preprocessing."""
    declaration = findings.best.declaration
    geometry = replace(bundle.geometry, steps=declaration.steps, decode="exact")
    manifest = bundle.manifest.model_copy(
        update={
            "weights": "weights.safetensors",
            "quantization": None,  # its int8 form was made of the network behind the old preprocessing
            "calibration": CalibrationTable(),  # the temperature was fitted under the old one as well
            "classes": findings.classes,
            "preprocess": describe(
                architecture=bundle.manifest.architecture,
                classes=findings.classes,
                geometry=geometry,
                normalisation=declaration.normalisation,
            ).preprocess,
        }
    )
    network = behind(servable, declaration.normalisation, declaration.input_size)
    engine = TorchEngine(network, "cpu", lock=threading.Lock())
    items = spread(labelled.items, MAX_GOLDEN_PICTURES)
    held = hold(items, geometry, Limits(settings.max_body_bytes, settings.max_image_pixels))
    failed = {failure.item for failure in held.failures}
    good = [item for item in items if item not in failed][: len(held.pictures)]
    pictures = []
    for number, (item, picture) in enumerate(zip(good, held.pictures, strict=True), start=1):
        pixels = preprocess(picture, geometry.steps).pixels
        logits = engine.run(pixels[np.newaxis]).logits[0]
        data = read_picture(item.path, settings.max_body_bytes)
        class_name = bundle.classes[item.class_index]
        pictures.append(GoldenPicture(golden_name(number, item.path), data, logits, class_name))
    return next_version(bundle.folder.parent), manifest, network, pictures
