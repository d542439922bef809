"""What the events mean in Prometheus' terms."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Info, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from service.core.caching import Answers
from service.core.events import (
    BatchBisected,
    BatchRan,
    CacheAsked,
    Compared,
    DriftMeasured,
    DriftSampled,
    Dropped,
    Event,
    ModelChanged,
    PredictionLogged,
    ProviderFellBack,
    Rejected,
    RequestDone,
    RoutingChanged,
)
from service.core.messages import ModelKey
from service.core.ports import Depth
from service.core.status import ModelStatus
from service.telemetry.caching import CacheCollector
from service.telemetry.certificates import CertificateExpiry
from service.telemetry.context import TRACEPARENT, sampled, trace_id
from service.telemetry.depths import Held, Waiting
from service.telemetry.drift import DriftSeries
from service.telemetry.histograms import BulkHistogram, Series
from service.telemetry.lines import LineSeries
from service.telemetry.models import ModelSeries
from service.telemetry.predictions import Predictions
from service.telemetry.routing import RoutingSeries
from service.telemetry.settings import SettingsCollector
from service.telemetry.statistics import Statistics
from service.telemetry.triton import TritonCollector
from service.telemetry.work import WorkSeries

#: The model label of requests for a model that is not there: what callers make up must not become series.
UNKNOWN = "unknown"
LATENCY_BOUNDS_S = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_UNSPOKEN = re.compile(r"application/openmetrics-text.*version=(?![01]\.)")

RequestLabels = tuple[str, str, str]  #: model, method, code


class Metrics:
    """Counts events; `emit` may be called from any thread.

    `watch` adds what is read at each scrape instead of counted.
    """

    def __init__(self, version: str) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Info("vitrine_build", "What runs here", registry=registry).info(
            {"version": version, "python": platform.python_version()}
        )
        self._requests = Counter(
            "vitrine_requests", "Classifications that ended", ["model", "method", "code"], registry=registry
        )
        self._requests_by: dict[RequestLabels, Callable[[], None]] = {}
        self._times_by: dict[str, _Times] = {}
        self._latency = BulkHistogram(
            "vitrine_latency_seconds",
            "Time of one classification, in all and by stage; compute is the run of the batch it was part of",
            ["model", "stage"],
            LATENCY_BOUNDS_S,
        )
        registry.register(self._latency)
        self._sizes = BulkHistogram("vitrine_batch_size", "Pictures in one batch", ["model"], BATCH_BOUNDS)
        registry.register(self._sizes)
        self._rejected = Counter(
            "vitrine_rejected", "Requests shed at admission", ["model", "reason"], registry=registry
        )
        self._dropped = Counter(
            "vitrine_dropped",
            "Queued requests that were not computed: expired, or their caller had left",
            ["model", "stage", "cause"],
            registry=registry,
        )
        self._bisected = Counter(
            "vitrine_batches_bisected", "Batches that failed as a whole and were halved", ["model"], registry=registry
        )
        self._models = ModelSeries(registry)
        self._routing = RoutingSeries(registry)
        self._drift = DriftSeries(registry, self._models.ready)
        self._cached = Counter(
            "vitrine_cache_requests",
            "Lookups in the response cache: hit here, shared with others, joined a request under way, or miss",
            ["model", "outcome"],
            registry=registry,
        )
        self._logged = Counter(
            "vitrine_predictions_logged",
            "Sampled requests: written to the log, dropped since too many waited, or failed to be written",
            ["model", "outcome"],
            registry=registry,
        )
        self._work = WorkSeries(registry)
        self._predictions = Predictions()
        registry.register(self._predictions)
        self.statistics = Statistics()  #: what Triton would count

    def watch(self, depth: Callable[[ModelKey], Depth], in_flight: Callable[[], int]) -> None:
        """Read the queue's depth of every ready version, and the number of unanswered requests, at each scrape."""
        self._registry.register(Waiting(self._models.ready, depth, in_flight))
        self._registry.register(TritonCollector(self.statistics, self._models.ready, depth))

    def watch_cache(self, kept: Answers) -> None:
        """Read what the response cache holds at each scrape."""
        self._registry.register(CacheCollector(kept))

    def watch_settings(self, statuses: Callable[[], Sequence[ModelStatus]]) -> None:
        """Read how each version is run at each scrape."""
        self._registry.register(SettingsCollector(statuses))

    def watch_leases(self, leases: Callable[[], Mapping[ModelKey, int]]) -> None:
        """Read how many requests this worker holds at each scrape."""
        self._registry.register(Held(leases))

    def watch_certificates(self, files: Sequence[Path]) -> None:
        """Tell at each scrape until when these PEM files are good."""
        self._registry.register(CertificateExpiry(files))

    def watch_lines(self) -> LineSeries:
        """Tell of the queue in Redis whatever the returned series is shown."""
        lines = LineSeries()
        self._registry.register(lines)
        return lines

    def emit(self, event: Event) -> None:
        """Count one event."""
        match event:
            case RequestDone():
                self._request(event)
                self.statistics.emit(event)
            case BatchRan():
                self._batch(event)
            case Rejected():
                self._rejected.labels(event.model or UNKNOWN, event.reason.value).inc()
            case Dropped():
                cause = "expired" if event.expired else "cancelled"
                self._dropped.labels(event.model.name, event.stage, cause).inc()
            case BatchBisected():
                self._bisected.labels(event.model.name).inc()
            case ModelChanged():
                self._models.change(event)
            case ProviderFellBack():
                self._models.fall_back(event)
            case DriftSampled() | DriftMeasured():
                self._drift.emit(event)
            case RoutingChanged() | Compared() | CacheAsked() | PredictionLogged():
                self._spread(event)
            case _:
                self._work.emit(event)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type, in the format that the `Accept` header asks for."""
        encode, content_type = choose_encoder(_spoken(accept))
        return encode(self._registry), content_type

    def _request(self, event: RequestDone) -> None:
        model = event.model or UNKNOWN
        labels = (model, event.method, event.code.value if event.code else "OK")
        count = self._requests_by.get(labels)
        if count is None:
            count = self._requests_by[labels] = self._requests.labels(*labels).inc
        count()
        total = self._times(model).total
        total.observe((event.took_s,))
        if sampled(TRACEPARENT.get()):
            total.exemplify(event.took_s, trace_id())
        if event.best:
            self._predictions.observe(model, event.best)

    def _spread(self, event: RoutingChanged | Compared | CacheAsked | PredictionLogged) -> None:
        if isinstance(event, CacheAsked):
            self._cached.labels(event.model.name, event.outcome).inc()
            self.statistics.emit(event)
        elif isinstance(event, PredictionLogged):
            self._logged.labels(event.model, event.outcome).inc()
        else:
            self._routing.emit(event)

    def _batch(self, event: BatchRan) -> None:
        times = self._times(event.model.name)
        times.sizes.observe((event.size,))
        times.queue.observe(event.queue_s)
        times.decode.observe(event.decode_s)
        times.compute.observe((event.compute_s,) * event.size)

    def _times(self, model: str) -> _Times:
        times = self._times_by.get(model)
        if times is None:
            times = self._times_by[model] = _Times(
                total=self._latency.labels(model, "total"),
                queue=self._latency.labels(model, "queue"),
                decode=self._latency.labels(model, "decode"),
                compute=self._latency.labels(model, "compute"),
                sizes=self._sizes.labels(model),
            )
        return times


@dataclass(frozen=True, slots=True)
class _Times:
    """One model's series: looking them up by their labels would cost as much as observing."""

    total: Series
    queue: Series
    decode: Series
    compute: Series
    sizes: Series


def _spoken(accept: str) -> str:
    """The header without the versions of OpenMetrics that the library would only claim to write (decision 18)."""
    return ",".join(part for part in accept.split(",") if not _UNSPOKEN.search(part))
