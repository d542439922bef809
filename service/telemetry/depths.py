"""What waits and is held, read when it is scraped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.core.messages import ModelKey
from service.core.ports import Depth


class Waiting(Collector):
    """What waits for an answer, by version, and for how many callers wait."""

    def __init__(
        self,
        ready: Callable[[], list[ModelKey]],
        depth: Callable[[ModelKey], Depth],
        in_flight: Callable[[], int],
    ) -> None:
        self._ready = ready
        self._depth = depth
        self._in_flight = in_flight

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Entries and bytes of every ready version, and the calls in flight."""
        labels = ["model", "version"]
        entries = GaugeMetricFamily("vitrine_queue_entries", "Requests admitted and not yet answered", labels=labels)
        size = GaugeMetricFamily("vitrine_queue_bytes", "Bytes of their pictures", labels=labels)
        for key in self._ready():
            depth = self._depth(key)
            entries.add_metric([key.name, str(key.version)], depth.entries)
            size.add_metric([key.name, str(key.version)], depth.bytes)
        yield entries
        yield size
        yield GaugeMetricFamily(
            "vitrine_requests_in_flight", "Classifications that callers wait for", value=self._in_flight()
        )


class Held(Collector):
    """What a worker holds."""

    def __init__(self, leases: Callable[[], Mapping[ModelKey, int]]) -> None:
        self._leases = leases

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Requests by version."""
        held = GaugeMetricFamily(
            "vitrine_leases",
            "Requests that this worker holds: computed, waiting for a lane, or not yet settled",
            labels=["model", "version"],
        )
        for key, count in self._leases().items():
            held.add_metric([key.name, str(key.version)], count)
        yield held
