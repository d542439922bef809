"""The response cache, as metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.core.caching import Answers


class CacheCollector(Collector):
    """What the cache of this process holds, read at each scrape."""

    def __init__(self, kept: Answers) -> None:
        self._kept = kept

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Bytes and answers."""
        yield GaugeMetricFamily("vitrine_cache_bytes", "Memory of the answers that are kept", value=self._kept.bytes)
        yield GaugeMetricFamily("vitrine_cache_answers", "Answers that are kept", value=len(self._kept))
