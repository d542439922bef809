"""Routings and their shadows, as metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.core.events import Compared, RoutingChanged
from service.telemetry.histograms import BulkHistogram

_DIFFERENCES = (0.0, 0.0001, 0.001, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class RoutingSeries:
    """Which version has which label and weight, and how far shadows are from what callers were told."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._weights = Gauge(
            "vitrine_routing_weight",
            "Weight of a label among the requests that name no version",
            ["model", "label", "version"],
            registry=registry,
        )
        self._revision = Gauge(
            "vitrine_routing_revision", "Changes of a model's routing so far", ["model"], registry=registry
        )
        self._compared = Counter(
            "vitrine_shadow_comparisons",
            "Copies sent to a shadow: agreed or disagreed on the best class, failed, or skipped since too many waited",
            ["model", "version", "shadow_version", "outcome"],
            registry=registry,
        )
        self._differences = BulkHistogram(
            "vitrine_shadow_score_difference",
            "Largest difference of one class's score between an answer and its shadow",
            ["model"],
            _DIFFERENCES,
        )
        registry.register(self._differences)

    def emit(self, event: RoutingChanged | Compared) -> None:
        """Another routing is in force; or a shadow answered, or did not."""
        if isinstance(event, RoutingChanged):
            self._change(event)
        else:
            self._compare(event)

    def _change(self, event: RoutingChanged) -> None:
        self._revision.labels(event.model).set(event.revision)
        self._weights.remove_by_labels({"model": event.model})
        for label, version in event.routing.labels.items():
            self._weights.labels(event.model, label, str(version)).set(event.routing.split.get(label, 0.0))

    def _compare(self, event: Compared) -> None:
        versions = (str(event.model.version), str(event.shadow.version))
        self._compared.labels(event.model.name, *versions, event.outcome).inc()
        if event.outcome in {"agreed", "disagreed"}:
            self._differences.labels(event.model.name).observe((event.distance,))
