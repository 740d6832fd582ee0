"""A bundle's folder to an engine that may serve: opened -> engine built -> warmed -> golden images held.

Of the engines that could run it the first is taken whose golden images hold; the importer and the reports take this
path too.
"""

import importlib.metadata
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

from app import __version__
from app.bundles.comparison import GoldenReport, compare
from app.bundles.golden import Golden, GoldenImage
from app.bundles.repository import Bundle, open_bundle
from app.domain import Geometry
from app.engines.base import Engine, warm_up
from app.engines.precision import choose_precision
from app.errors import SelfTestFailed, ShuttingDown
from app.images.decode import Picture, decode
from app.images.preprocess import preprocess
from app.images.scaling import refuse_unproved
from app.serving.deployment import Proof
from app.serving.latency import capped
from app.wiring.engines import Built, candidates
from app.wiring.machine import Machine

log = logging.getLogger(__name__)

NO_GOLDEN_IMAGES = "the bundle has no golden images, so nothing proves that this machine answers as it should"


@dataclass(frozen=True, slots=True)
class Proved:
    """A bundle on this machine's engine, and what was measured of it."""

    bundle: Bundle
    engine: Engine
    proof: Proof


def prove(folder: Path, *, machine: Machine, batch_sizes: Sequence[int], max_pixels: int) -> Proved:
    """From a bundle's folder to an engine that may serve; the importer takes this path too.

    Raises:
        BundleRefused: it may not, with the reason.
    """
    proved = examine(folder, machine=machine, batch_sizes=batch_sizes, max_pixels=max_pixels)
    if reason := unproved(proved):
        proved.engine.close()
        raise SelfTestFailed(reason)
    return proved


def unproved(examined: Proved) -> str | None:
    """Why the model may not serve; None where it may."""
    golden, report = examined.bundle.golden, examined.proof.golden
    if golden is None or report is None:
        return None
    changes = "; ".join(golden.changes)
    if not report.holds:
        why = changes or (
            "weights, classes or preprocessing were changed since they were recorded, or the device computes wrongly"
        )
        return f"the golden images do not hold on this machine: {report.message}; {why}"
    if changes:
        return (
            f"changed since the golden images were recorded, although they still hold within the tolerance: {changes}; "
            "undo it, or make it a new version with golden images of its own"
        )
    return None


def examine(folder: Path, *, machine: Machine, batch_sizes: Sequence[int], max_pixels: int) -> Proved:
    """As `prove`, but golden images that do not hold are part of the result instead of a refusal.

    Raises:
        BundleRefused: it cannot even be loaded and asked.
        ShuttingDown: the server stops meanwhile; asked between the steps.
    """
    bundle = open_bundle(folder)
    _refuse_unproved_scaling(bundle, max_pixels)
    golden: GoldenReport | None = None

    def judge(built: Built) -> str | None:
        nonlocal golden
        _go_on(machine)
        golden = golden_report(bundle, built.engine, max_pixels=max_pixels)
        return None if golden is None or golden.holds else golden.message

    chosen = choose_precision(
        candidates(bundle, machine, batch_sizes), judge, discard=lambda built: built.engine.close()
    )
    built = chosen.built
    latency_s: dict[int, float] = {}
    try:
        for size in capped(batch_sizes, built.engine.largest_batch):
            _go_on(machine)
            latency_s |= warm_up(built.engine, (size,))
    except BaseException:
        built.engine.close()
        raise
    notes = [f"{refused.precision} was not taken: {refused.reason}" for refused in chosen.refused]
    warnings = (
        *built.notes,
        *(notes if chosen.fault is None else ()),
        *(() if golden is not None else (NO_GOLDEN_IMAGES,)),
    )
    proof = Proof(
        sum_rule_error=built.sum_rule_error,
        golden=golden,
        latency_s=latency_s,
        warnings=warnings,
    )
    return Proved(bundle, built.engine, proof)


def _go_on(machine: Machine) -> None:
    if machine.stopping.is_set():
        raise ShuttingDown("the server shuts down before the model was proved")


def environment(device: str, precision: str, runtime: str = "torch") -> dict[str, str]:
    """What golden logits depend on besides the bundle: versions, device, precision."""
    return {
        "lineside": __version__,
        runtime: importlib.metadata.version(runtime),
        "pillow": PIL.__version__,
        "device": device,
        "precision": precision,
    }


def golden_report(bundle: Bundle, engine: Engine, *, max_pixels: int) -> GoldenReport | None:
    """Predict the golden images every way that requests may take, and tell of the worst; None where there are none."""
    golden = bundle.golden
    if golden is None:
        return None
    pictures = (_picture(golden, image, bundle.geometry, max_pixels) for image in golden.images)
    batches = [preprocess(picture, bundle.geometry.steps).pixels[np.newaxis] for picture in pictures]
    reports = [
        compare(
            golden.logits(),
            np.concatenate([way(batch).logits for batch in batches]),
            bundle.manifest.golden.tolerance,
            [image.file for image in golden.images],
        )
        for way in engine.ways
    ]
    return max(reports, key=lambda report: (not report.holds, report.max_probability_difference))


def _refuse_unproved_scaling(bundle: Bundle, max_pixels: int) -> None:
    """Before an engine is built; decodes only where the manifest wants JPEGs smaller, and then until one is."""
    golden, geometry = bundle.golden, bundle.geometry
    if golden is None:
        refuse_unproved(geometry, ())
        return
    pictures = (_picture(golden, image, geometry, max_pixels) for image in golden.images)
    refuse_unproved(geometry, (picture.reduced is not None for picture in pictures))


def _picture(golden: Golden, image: GoldenImage, geometry: Geometry, max_pixels: int) -> Picture:
    return decode(golden.read(image), geometry=geometry, max_pixels=max_pixels, keeps_picture=False)
