"""What happens around the batches: how they were taken, what was leased again, jobs, and looking in."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter

from service.core.events import (
    BatchTaken,
    Buried,
    Event,
    JobChanged,
    JobItemsDone,
    LookedIn,
    Redelivered,
    WorkerStarted,
)
from service.telemetry.histograms import BulkHistogram

_ANSWER_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class WorkSeries:
    """Counters of the rarer events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._taken = Counter(
            "vitrine_batches_taken",
            "Batches that lanes took, by what bounded them: full, drained, shared with other lanes, left by the dead",
            ["model", "reason"],
            registry=registry,
        )
        # Looking a series up by its labels costs more than counting, and there are many batches.
        self._taken_by: dict[tuple[str, str], Callable[[], None]] = {}
        self._redelivered = Counter(
            "vitrine_redeliveries",
            "Requests that were leased again after their worker had died or lost them",
            ["model"],
            registry=registry,
        )
        self._buried = Counter(
            "vitrine_burials",
            "Requests given up, since each worker that had one died",
            ["model"],
            registry=registry,
        )
        self._restarts = Counter(
            "vitrine_worker_restarts", "Child processes of this worker that died and were replaced", registry=registry
        )
        self._items = Counter(
            "vitrine_job_items", "Items of jobs whose results are kept", ["model", "outcome"], registry=registry
        )
        self._jobs = Counter("vitrine_jobs", "What callers did to jobs", ["action"], registry=registry)
        self._looked = BulkHistogram(
            "vitrine_introspection_seconds",
            "Time of one question about the inside of a model",
            ["code"],
            _ANSWER_BOUNDS_S,
        )
        registry.register(self._looked)

    def _take(self, model: str, reason: str) -> None:
        count = self._taken_by.get((model, reason))
        if count is None:
            count = self._taken_by[model, reason] = self._taken.labels(model, reason).inc
        count()

    def emit(self, event: Event) -> None:
        """Count one event; those of other kinds are counted elsewhere."""
        match event:
            case BatchTaken():
                self._take(event.model.name, event.reason)
            case Redelivered():
                self._redelivered.labels(event.model.name).inc()
            case Buried():
                self._buried.labels(event.model.name).inc()
            case WorkerStarted():
                self._restarts.inc(event.restarts)
            case JobItemsDone():
                self._items.labels(event.model.name, "succeeded").inc(event.succeeded)
                self._items.labels(event.model.name, "failed").inc(event.failed)
            case JobChanged():
                self._jobs.labels(event.state).inc()
            case LookedIn():
                self._looked.labels(event.code.value if event.code else "OK").observe((event.took_s,))
