"""Settings to a running service.

A bundle becomes a deployment on one thread, several at a time: read -> engine -> sum rule -> golden images -> warm every
batch size. Whatever fails refuses that bundle alone, with its reason.
"""

import asyncio
import gc
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.bundles.repository import BundleFolder, scan
from app.errors import LinesideError
from app.metrics import Metrics
from app.serving.admission import Admission
from app.serving.capacity import Capacity
from app.serving.catalogue import Catalogue
from app.serving.deployment import Deployment
from app.serving.priority import give_way
from app.serving.service import Service
from app.settings import Settings
from app.wiring.deploy import deploy
from app.wiring.machine import Machine, available_cores

log = logging.getLogger(__name__)


def settle_memory() -> None:
    """Take what was loaded out of the garbage collector's sight: it would look all of it through again and again.

    A full collection of a loaded server holds every thread up for tens of milliseconds, refusals and batches alike.
    """
    gc.collect()
    gc.freeze()


class Wiring:
    """One server's parts, built from its settings.

    Raises:
        SettingsInvalid: there is no such device, or it has no such engine or precision.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.metrics = Metrics()
        self.catalogue = Catalogue(
            require=settings.require_models,
            default_model=settings.default_model,
            default_versions=settings.default_versions,
        )
        self.metrics.watch_server(is_ready=lambda: self.catalogue.readiness().is_ready)
        self.service = Service(
            self.catalogue,
            admission=Admission(
                self.catalogue,
                Capacity("server", max_entries=settings.max_requests, max_bytes=settings.max_request_bytes),
            ),
            image_threads=settings.image_threads or available_cores(),
        )
        self._machines = Machine.all_of(settings)
        is_spare = settings.cpu_fallback and self._machines[0].device != "cpu"
        self._fallback = self._machines[0].fallback() if is_spare else None

    async def load_models(self, *, only: tuple[str | None, int | None] | None = None) -> None:
        """Load every bundle of the repository into the catalogue; call once, inside the event loop.

        Args:
            only: name and version, as a request gives them; what it does not mean is left out.

        Raises:
            InvalidRequest, UnknownModel, NotReady: of `only`, as `Catalogue.find`.
        """
        log.info("computing on %s", ", ".join(machine.title for machine in self._machines))
        listing = await asyncio.to_thread(scan, self._settings.model_repository)
        for folder in listing.found:
            self._announce(folder.name, folder.version)
        for refused in listing.refused:
            self._announce(refused.name, refused.version)
            self._refuse(refused.name, refused.version, refused.reason)
        for name in listing.unreadable:
            self.metrics.watch_model(name, None, is_ready=lambda: False)
        self.catalogue.scanned(listing.notes, fault=listing.fault, unreadable=listing.unreadable)
        for note in listing.notes:
            log.info("model repository: %s", note)
        found = listing.found
        if only is not None:
            meant = self.catalogue.find(*only)
            found = tuple(one for one in found if (one.name, one.version) == (meant.name, meant.version))
        # The threads of engines and workers are started by these, and are as modest.
        with ThreadPoolExecutor(
            self._settings.load_threads, thread_name_prefix="load", initializer=give_way
        ) as pool:
            try:
                await asyncio.gather(*(self._load(folder, pool) for folder in found))
            except asyncio.CancelledError:
                self._machines[0].stopping.set()  # one for all of them
                raise
        settle_memory()
        if only is None:
            await asyncio.to_thread(self._clear_cache)
            for reason in self.catalogue.readiness().reasons:
                log.error("not ready: %s", reason)

    async def close(self, *, timeout_s: float) -> None:
        """Finish what was accepted, refuse the rest; call once, at the end."""
        await self.service.close(timeout_s=timeout_s)
        # Undone, so that engines are taken down in their own order.
        gc.unfreeze()

    def _clear_cache(self) -> None:
        """Once this server holds what it uses."""
        days = self._settings.cache_unused_days
        forms, size_bytes = self._machines[0].cache.clear(unused_days=days)
        if forms:
            log.info(
                "cleared %d converted network%s (%.0f MB) from the cache, unused for %d days",
                *(forms, "s" * (forms > 1), size_bytes / 1e6, days),
            )

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
            self._refuse(name, version, _reason(error))
            return
        self.catalogue.serve(deployment)
        self.metrics.add_model(
            deployment.identity,
            engine=deployment.engine.runtime,
            device=lambda: deployment.device,
            precision=deployment.engine.precision,
            entry_count=lambda: deployment.entry_count,
            out_of_service=lambda: deployment.out_of_service,
        )
        for warning in deployment.proof.warnings:
            log.warning("%s version %d: %s", name, version, warning)
        engine = deployment.engine
        log.info(
            "serving %s version %d on %s (%s, %s)",
            name,
            version,
            deployment.device,
            engine.runtime,
            engine.precision,
        )

    def _deploy(self, folder: BundleFolder) -> Deployment:
        return deploy(
            folder.folder,
            self._machines,
            self._fallback,
            self._settings,
            on_batch=self.metrics.batch_observer(folder.name),
        )


def _reason(error: Exception) -> str:
    """Of an error that nobody expected; what the system refused is the operator's to mend."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"`{Path(str(error.filename)).name}` cannot be used: {error.strerror}"
    return f"unexpected {type(error).__name__}; the log has the cause"
