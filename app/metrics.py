"""Every Prometheus metric, declared together; one registry per server, none global."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app.domain import ModelIdentity, Timings

STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From a resize (1 ms) to the slowest line's pitch (9 s)."""

BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """What the server counts and times."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Memory, CPU, open files and their limit, start: what a monitor asks of every process. Only where there is /proc.
        ProcessCollector(registry=self.registry)
        self._server_ready = Gauge(
            "lineside_ready",
            "What /readyz says: 1: may drive the gate.",
            registry=self.registry,
        )
        self._requests = Counter(
            "lineside_requests",
            "Requests by route, model and status; the model is empty where none was resolved.",
            ["route", "model", "status"],
            registry=self.registry,
        )
        self._stages = Histogram(
            "lineside_stage_seconds",
            "Seconds that an answered request spent in each stage.",
            ["model", "stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        # Looked up by their labels, they would cost more than what they count.
        self._observers: dict[str, dict[str, Callable[[float], None]]] = {}
        self._request_counters: dict[tuple[str, str, int], Callable[[], None]] = {}
        self._refusal_counters: dict[str, Callable[[], None]] = {}
        self._batch_size = Histogram(
            "lineside_batch_size",
            "Entries per batch that ran.",
            ["model"],
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self._queue_entries = Gauge(
            "lineside_queue_entries",
            "Entries that wait or run.",
            ["model", "version"],
            registry=self.registry,
        )
        self._refused = Counter(
            "lineside_refused",
            "Requests refused or given up, by the error's code.",
            ["reason"],
            registry=self.registry,
        )
        self._info = Gauge(
            "lineside_model_info",
            "1 for each loaded model, with what it runs on.",
            ["model", "version", "digest", "engine", "device", "precision"],
            registry=self.registry,
        )
        self._updates: list[Callable[[], None]] = []
        """Of what is known only when somebody looks."""
        self._ready = Gauge(
            "lineside_model_ready",
            "1: proved and its worker alive; 0: loading, refused or stalled.",
            ["model", "version"],
            registry=self.registry,
        )

        self._out_of_service = Gauge(
            "lineside_devices_out_of_service",
            "Devices of a model that were lost or hang.",
            ["model", "version"],
            registry=self.registry,
        )

    def count_request(self, *, route: str, model: str, status: int) -> None:
        """One finished request."""
        labels = (route, model, status)
        if labels not in self._request_counters:
            self._request_counters[labels] = self._requests.labels(route, model, str(status)).inc
        self._request_counters[labels]()

    def time_stages(self, model: str, timings: Timings) -> None:
        """The stages of one request that this model answered."""
        if model not in self._observers:
            self._observers[model] = {
                stage: self._stages.labels(model, stage).observe for stage in Timings.__slots__
            }
        stages: Mapping[str, float] = timings.by_stage()
        for stage, milliseconds in stages.items():
            self._observers[model][stage](milliseconds / 1000)

    def count_refusal(self, reason: str) -> None:
        """One request that ended in an error of this code."""
        if reason not in self._refusal_counters:
            self._refusal_counters[reason] = self._refused.labels(reason).inc
        self._refusal_counters[reason]()

    def batch_observer(self, model: str) -> Callable[[int], None]:
        """A function that is told each batch's size."""
        child = self._batch_size.labels(model)
        return child.observe

    def watch_server(self, *, is_ready: Callable[[], bool]) -> None:
        """Report the server's readiness at each scrape."""
        self._server_ready.set_function(lambda: float(is_ready()))

    def watch_model(self, model: str, version: int | None, *, is_ready: Callable[[], bool]) -> None:
        """Report a model's readiness at each scrape, from its first sight on; the version is empty where nobody knows it."""
        self._ready.labels(model, "" if version is None else str(version)).set_function(
            lambda: float(is_ready())
        )

    def add_model(
        self,
        model: ModelIdentity,
        *,
        engine: str,
        device: Callable[[], str],
        precision: str,
        entry_count: Callable[[], int],
        out_of_service: Callable[[], int],
    ) -> None:
        """Report a loaded model, its queue and its devices."""
        version = str(model.version)
        told: tuple[str, ...] = ()

        def tell_devices() -> None:
            nonlocal told
            now = (model.name, version, model.digest, engine, device(), precision)
            if told and told != now:
                self._info.remove(*told)
            if told != now:
                self._info.labels(*now).set(1)
                told = now

        self._updates.append(tell_devices)
        self._queue_entries.labels(model.name, version).set_function(lambda: float(entry_count()))
        self._out_of_service.labels(model.name, version).set_function(lambda: float(out_of_service()))

    def render(self) -> bytes:
        """The exposition text."""
        for update in self._updates:
            update()
        return generate_latest(self.registry)
