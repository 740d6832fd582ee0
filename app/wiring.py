"""Settings to a running service; the only place that builds things.

A bundle becomes a deployment on one thread, several at a time: read -> fit strictly -> sum rule -> engine ->
warm every batch size -> golden images. Whatever fails refuses that bundle alone, with its reason.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import torch

from app import __version__
from app.bundles.comparison import GoldenReport, compare
from app.bundles.repository import Bundle, BundleFolder, open_bundle, scan
from app.checkpoints.weights import read_weights
from app.engines.base import Engine, warm_up
from app.engines.torch_engine import TorchEngine, resolve_device, use_threads
from app.errors import LinesideError, SelfTestFailed
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.metrics import Metrics
from app.nets.servable import Servable, SumRule, check_sum_rule, load_servable
from app.serving.capacity import Capacity
from app.serving.catalogue import Catalogue
from app.serving.deployment import Deployment, Proof
from app.serving.service import Service
from app.settings import Settings

log = logging.getLogger(__name__)

NO_GOLDEN_IMAGES = "the bundle has no golden images, so nothing proves that this machine answers as it should"


class Wiring:
    """One server's parts, built from its settings.

    Raises:
        SettingsInvalid: there is no such device.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.metrics = Metrics()
        self.catalogue = Catalogue(
            require=settings.require_models,
            default_model=settings.default_model,
            default_versions=settings.default_versions,
        )
        self.service = Service(
            self.catalogue,
            admission=Capacity(
                "server", max_entries=settings.max_requests, max_bytes=settings.max_request_bytes
            ),
            image_threads=settings.image_threads or os.cpu_count() or 1,
        )
        self._device = resolve_device(settings.device)
        # Models on one device take turns: two forward passes at once would fight for its cores.
        self._device_lock = threading.Lock()

    async def load_models(self) -> None:
        """Load every bundle of the repository into the catalogue; call once, inside the event loop."""
        use_threads(self._settings.inference_threads)
        listing = await asyncio.to_thread(scan, self._settings.model_repository)
        for folder in listing.found:
            self._announce(folder.name, folder.version)
        for refused in listing.refused:
            self._announce(refused.name, refused.version)
            self._refuse(refused.name, refused.version, refused.reason)
        self.catalogue.scanned(listing.notes)
        for note in listing.notes:
            log.info("model repository: %s", note)
        with ThreadPoolExecutor(self._settings.load_threads, thread_name_prefix="load") as pool:
            await asyncio.gather(*(self._load(folder, pool) for folder in listing.found))
        for reason in self.catalogue.readiness().reasons:
            log.error("not ready: %s", reason)

    def _announce(self, name: str, version: int) -> None:
        self.catalogue.announce(name, version)
        self.metrics.watch_model(name, version, is_ready=self._readiness(name, version))

    def _readiness(self, name: str, version: int) -> Callable[[], bool]:
        return lambda: self.catalogue.find(name, version).fault() is None

    def _refuse(self, name: str, version: int, reason: str) -> None:
        log.error("refused %s version %d: %s", name, version, reason)
        self.catalogue.refuse(name, version, reason)

    async def _load(self, folder: BundleFolder, pool: ThreadPoolExecutor) -> None:
        name, version = folder.name, folder.version
        try:
            deployment = await asyncio.get_running_loop().run_in_executor(pool, self._deploy, folder)
        except LinesideError as error:
            self._refuse(name, version, error.message)
            return
        except Exception as error:
            log.exception("refused %s version %d", name, version)
            self._refuse(name, version, f"unexpected {type(error).__name__}; the log has the cause")
            return
        self.catalogue.serve(deployment)
        self.metrics.add_model(
            deployment.identity,
            device=deployment.engine.device,
            precision=deployment.engine.precision,
            entry_count=lambda: deployment.entry_count,
        )
        for warning in deployment.proof.warnings:
            log.warning("%s version %d: %s", name, version, warning)
        log.info("serving %s version %d on %s", name, version, deployment.engine.device)

    def _deploy(self, folder: BundleFolder) -> Deployment:
        settings = self._settings
        proved = prove(
            folder.folder,
            device=self._device,
            device_lock=self._device_lock,
            batch_sizes=settings.batch_sizes,
            max_pixels=settings.max_image_pixels,
        )
        return Deployment(
            proved.bundle,
            proved.engine,
            proved.proof,
            batch_sizes=settings.batch_sizes,
            max_entries=settings.max_queue_entries,
            max_bytes=settings.max_queue_bytes,
            max_image_pixels=settings.max_image_pixels,
            max_view_pixels=settings.max_view_pixels,
            worker_stall_s=settings.worker_stall_s,
            on_batch=self.metrics.batch_observer(proved.bundle.name),
        )


@dataclass(frozen=True, slots=True)
class Proved:
    """A bundle on this machine's engine, and what was measured of it."""

    bundle: Bundle
    engine: Engine
    proof: Proof


def prove(
    folder: Path, *, device: str, device_lock: threading.Lock, batch_sizes: Sequence[int], max_pixels: int
) -> Proved:
    """From a bundle's folder to an engine that may serve; the importer takes this path too.

    Raises:
        BundleRefused: it may not, with the reason.
    """
    proved = examine(
        folder, device=device, device_lock=device_lock, batch_sizes=batch_sizes, max_pixels=max_pixels
    )
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


def examine(
    folder: Path, *, device: str, device_lock: threading.Lock, batch_sizes: Sequence[int], max_pixels: int
) -> Proved:
    """As `prove`, but golden images that do not hold are part of the result instead of a refusal.

    Raises:
        BundleRefused: it cannot even be loaded and asked.
    """
    bundle, servable, sum_rule = load(folder)
    engine = TorchEngine(servable, device, lock=device_lock)
    latency_s = warm_up(engine, batch_sizes)
    golden = _golden_report(bundle, engine, max_pixels=max_pixels)
    warnings = () if golden is not None else (NO_GOLDEN_IMAGES,)
    proof = Proof(
        sum_rule_error=sum_rule.max_relative_error, golden=golden, latency_s=latency_s, warnings=warnings
    )
    return Proved(bundle, engine, proof)


def load(folder: Path) -> tuple[Bundle, Servable, SumRule]:
    """A bundle and its network, strictly loaded, in eval mode on the CPU; no picture was asked yet.

    Raises:
        BundleRefused: files, manifest and weights do not go together, or the sum rule does not hold.
    """
    bundle = open_bundle(folder)
    servable = load_servable(bundle.network_spec, read_weights(bundle.weights_path))
    return bundle, servable, check_sum_rule(servable)


def environment(device: str, precision: str) -> dict[str, str]:
    """What golden logits depend on besides the bundle: versions, device, precision."""
    return {
        "lineside": __version__,
        "torch": torch.__version__,
        "pillow": PIL.__version__,
        "device": device,
        "precision": precision,
    }


def _golden_report(bundle: Bundle, engine: Engine, *, max_pixels: int) -> GoldenReport | None:
    """Predict the golden images through the path that requests take."""
    golden = bundle.golden
    if golden is None:
        return None
    measured = []
    for image in golden.images:
        picture = decode(golden.read(image), geometry=bundle.geometry, max_pixels=max_pixels)
        pixels = preprocess(picture, bundle.geometry.steps).pixels
        measured.append(engine.run(pixels[np.newaxis]).logits[0])
    return compare(
        golden.logits(),
        np.stack(measured),
        bundle.manifest.golden.tolerance,
        [image.file for image in golden.images],
    )
