"""`lineside quantize`: the next version of a bundle, computing in 8-bit integers, if it answers as float32 does.

bundle + folder of pictures -> decoded as the server does -> half calibrates, half compares -> the new version -> report
"""

import json
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.bundles.problems import listed
from app.bundles.repository import Bundle, open_bundle
from app.cli.bundle_argument import bundle_folder, free_place, next_version
from app.cli.export import DONE, INVALID, REFUSED, cpu, megabytes
from app.errors import BundleRefused, InvalidRequest, LinesideError
from app.evaluation.labelled import LabelledItem, spread
from app.evaluation.pictures import find_pictures
from app.evaluation.predictions import Failure, Limits, Pixels, prepare
from app.exporting.quantize import NO_NNCF, nncf_is_installed
from app.settings import Settings
from app.wiring.exports import Bounds, Quantised, quantise_into, size_bytes
from app.wiring.machine import available_cores

LEAST_PICTURES: Final = 10
LEAST_FOR_HALVES: Final = 20
"""From here on no picture is both measured by and compared on."""
MAX_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class QuantizeOptions:
    """The command line, as given."""

    bundle: str
    images: Path
    out: Path | None
    bounds: Bounds
    calibration_images: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The pictures of the folder, as the network takes them."""

    calibration: tuple[Pixels, ...]
    comparison: tuple[Pixels, ...]
    count: int
    """Different ones."""
    failures: tuple[Failure, ...]

    @property
    def are_halves(self) -> bool:
        """False: the same pictures stand in both."""
        return self.count >= LEAST_FOR_HALVES


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended."""

    code: int
    reason: str | None = None
    taken: Taken | None = None
    quantised: Quantised | None = None
    source: Bundle | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user may not have meant."""
        if self.quantised is None or self.source is None:
            return ()
        return (
            *on_classes(self.source.classes, self.quantised.compared.classes),
            *notes_on(self.source, self.quantised.form.sha256),
        )


def on_classes(classes: Sequence[str], seen: Collection[int]) -> tuple[str, ...]:
    """Of the classes of which no picture shows how int8 answers them."""
    unseen = [name for index, name in enumerate(classes) if index not in seen]
    if not unseen:
        return ()
    return (
        f"float32 calls none of the compared pictures {listed(unseen)}, so nothing but the golden images shows how int8 answers "
        "there: give pictures of every class",
    )


def notes_on(source: Bundle, sha256: str) -> tuple[str, ...]:
    """Of a bundle that was quantised before, and of what was made of it now."""
    before = source.manifest.quantization
    if before is None:
        return ()
    made = f"it was made of {source.name}/{source.version}"
    if before.sha256 == sha256:
        return (f"{made}, which computes exactly the same: the same pictures give the same network",)
    return (f"{made}, which is quantised too: of its weights in float32, once more",)


def run_quantize(settings: Settings, options: QuantizeOptions, *, as_json: bool) -> int:
    """Report and exit code."""
    outcome = _outcome(settings, options)
    if as_json:
        print(json.dumps(_json(options, outcome), ensure_ascii=False, indent=2))  # noqa: T201
    else:
        _print(outcome)
    return outcome.code


def _outcome(settings: Settings, options: QuantizeOptions) -> Outcome:
    taken = None
    try:
        if not nncf_is_installed():  # before all the pictures are decoded
            raise InvalidRequest(NO_NNCF)
        folder = bundle_folder(options.bundle, settings.model_repository)
        place = free_place(options.out) if options.out else next_version(folder.parent)
        bundle = open_bundle(folder)
        taken = _taken(settings, bundle, options)
        with Console(stderr=True).status(f"quantising on {len(taken.calibration)} pictures"):
            quantised = quantise_into(
                place,
                bundle,
                calibration=taken.calibration,
                comparison=taken.comparison,
                pictures=taken.count,
                bounds=options.bounds,
                machine=cpu(settings),
                max_pixels=settings.max_image_pixels,
            )
    except BundleRefused as error:
        return Outcome(REFUSED, error.message, taken)
    except LinesideError as error:
        return Outcome(INVALID, error.message, taken)
    return Outcome(DONE, None, taken, quantised, bundle)


def _taken(settings: Settings, bundle: Bundle, options: QuantizeOptions) -> Taken:
    """Decoded behind a progress bar, its folders in turn, each folder's pictures taken evenly.

    Raises:
        InvalidRequest: too few of them can be read.
    """
    if not options.images.is_dir():
        raise InvalidRequest(f"--images: {options.images} is not a folder of pictures")
    paths = find_pictures([options.images])
    rooms = {room: number for number, room in enumerate(sorted({path.parent for path in paths}))}
    # A room is mostly a class; either way both halves then hold pictures of each.
    items = [LabelledItem(path, rooms[path.parent]) for path in paths]
    chosen = sorted(
        spread(items, 2 * options.calibration_images),
        key=lambda item: (item.class_index, item.path),
    )
    read = partial(
        prepare,
        geometry=bundle.geometry,
        limits=Limits(settings.max_body_bytes, settings.max_image_pixels),
    )
    good: list[Pixels] = []
    failures: list[Failure] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
        ThreadPoolExecutor(settings.image_threads or available_cores(), thread_name_prefix="image") as pool,
    ):
        for outcome in progress.track(pool.map(read, chosen), total=len(chosen), description="decoding"):
            if isinstance(outcome, Failure):
                failures.append(outcome)
            else:
                good.append(outcome.pixels)
    if len(good) < LEAST_PICTURES:
        raise InvalidRequest(
            f"--images: {len(good)} pictures can be read in {options.images.name}/ ({len(failures)} are damaged), and at least "
            f"{LEAST_PICTURES} are needed; 300 of every kind that the line's camera sees are usual"
        )
    if len(good) < LEAST_FOR_HALVES:
        return Taken(tuple(good), tuple(good), len(good), tuple(failures))
    return Taken(tuple(good[::2]), tuple(good[1::2]), len(good), tuple(failures))


def _json(options: QuantizeOptions, outcome: Outcome) -> dict[str, Any]:
    """For scripts; keys are stable."""
    taken, quantised = outcome.taken, outcome.quantised
    return {
        "bundle": options.bundle,
        "status": {DONE: "quantised", REFUSED: "refused", INVALID: "invalid"}[outcome.code],
        "reason": outcome.reason,
        "pictures": None
        if taken is None
        else {
            "calibration": len(taken.calibration),
            "comparison": len(taken.comparison),
            "are_halves": taken.are_halves,
            "failed": [
                {"file": str(each.item.path), "code": each.error.code, "reason": each.error.message}
                for each in taken.failures
            ],
        },
        "result": None if quantised is None else _result_json(quantised, outcome.notes),
    }


def _result_json(quantised: Quantised, notes: tuple[str, ...]) -> dict[str, Any]:
    bundle, proof = quantised.proved.bundle, quantised.proved.proof
    return {
        "model": {"name": bundle.name, "version": bundle.version, "digest": bundle.digest},
        "agreement": quantised.compared.agreement,
        "drift": quantised.compared.drift,
        "sum_rule_error": proof.sum_rule_error,
        "golden": None
        if proof.golden is None
        else {
            "max_probability_difference": proof.golden.max_probability_difference,
            "tolerance": bundle.manifest.golden.tolerance,
        },
        "bytes": size_bytes(quantised.form),
        "float32_bytes": quantised.float32_bytes,
        "sha256": quantised.form.sha256,
        "made_with": dict(quantised.form.made_with),
        "warnings": [*proof.warnings, *notes],
    }


def _print(outcome: Outcome) -> None:
    console = Console(highlight=False)
    taken, quantised = outcome.taken, outcome.quantised
    if taken is not None:
        _print_taken(console, taken)
    if quantised is None:
        said = "refused" if outcome.code == REFUSED else "lineside"
        console.print(f"[bold red]{said}:[/] {escape(outcome.reason or '')}", soft_wrap=True)
        return
    bundle, proof = quantised.proved.bundle, quantised.proved.proof
    compared = quantised.compared
    for warning in proof.warnings:
        console.print(f"[bold yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    for note in outcome.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    console.print(
        f"{compared.agreement:.2%} of {compared.pictures} pictures get the class that float32 gives; largest difference of a "
        f"probability {compared.drift:.4f}",
        soft_wrap=True,
    )
    console.print(f"evidence and bias add up to the logits within {proof.sum_rule_error:.1e} of the largest")
    if proof.golden is not None:
        console.print(escape(proof.golden.message), soft_wrap=True)
    console.print(
        f"[bold green]quantised[/] {bundle.name}/{bundle.version} {bundle.manifest.architecture}: "
        f"{megabytes(quantised.float32_bytes)} in float32, {megabytes(size_bytes(quantised.form))} in int8; "
        f"`lineside verify {bundle.name}/{bundle.version}` proves it on another machine",
        soft_wrap=True,
    )


def _print_taken(console: Console, taken: Taken) -> None:
    for failure in taken.failures[:MAX_NAMED]:
        console.print(
            f"[yellow]passed over:[/] {escape(failure.item.path.name)}: {escape(failure.error.message)}",
            soft_wrap=True,
        )
    if len(taken.failures) > MAX_NAMED:
        console.print(f"[yellow]passed over:[/] {len(taken.failures) - MAX_NAMED} more (--json lists all)")
    if taken.are_halves:
        console.print(
            f"{len(taken.calibration)} pictures to calibrate with, {len(taken.comparison)} others to compare on"
        )
    else:
        console.print(
            f"[yellow]the same {taken.count} pictures to calibrate with and to compare on: from {LEAST_FOR_HALVES} on they are "
            "kept apart[/]"
        )
