"""How far activations are from those of export, and how many pictures that was told from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.core.events import DriftMeasured, DriftSampled
from service.core.messages import ModelKey


class DriftSeries(Collector):
    """What was measured last of each version that is `ready`."""

    def __init__(self, registry: CollectorRegistry, ready: Callable[[], Sequence[ModelKey]]) -> None:
        self._ready = ready
        self._measured: dict[ModelKey, DriftMeasured] = {}
        self._samples = Counter(
            "vitrine_activation_drift_samples",
            "Answered pictures that were sampled: measured, dropped since too many waited, or failed",
            ["model", "outcome"],
            registry=registry,
        )
        registry.register(self)

    def emit(self, event: DriftSampled | DriftMeasured) -> None:
        """A picture was looked at, or was not; or there are news of a version."""
        if isinstance(event, DriftMeasured):
            self._measured[event.model] = event
        else:
            self._samples.labels(event.model.name, event.outcome).inc()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges as they stand, for a scrape."""
        by_layer, by_version = ["model", "version", "layer"], ["model", "version"]
        share = GaugeMetricFamily(
            "vitrine_activation_drift_ratio", "Share of a layer's channels that drifted since export", labels=by_layer
        )
        farthest = GaugeMetricFamily(
            "vitrine_activation_drift_distance",
            "Kolmogorov-Smirnov statistic of the layer's channel that is farthest from export, 0 to 1",
            labels=by_layer,
        )
        pictures = GaugeMetricFamily(
            "vitrine_activation_drift_pictures", "Pictures that this was told from", labels=by_version
        )
        ready = self._ready()
        for key, event in list(self._measured.items()):
            if key not in ready:
                del self._measured[key]
                continue
            version = [key.name, str(key.version)]
            pictures.add_metric(version, event.images)
            for layer, drift in event.layers.items():
                share.add_metric([*version, layer], drift.share)
                farthest.add_metric([*version, layer], drift.ks)
        yield share
        yield farthest
        yield pictures
