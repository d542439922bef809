"""Histograms whose observations cost an append: they are counted in bulk, when scraped or when many wait.

`prometheus_client` takes about 1.7 us for one observation, of which every request has four; a streamed request costs
the server about 40 us in all. Appending to a deque takes 0.05 us, counting with numpy about as much.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

#: What may wait to be counted, per series: bounds memory when nobody scrapes.
MAX_PENDING = 8192


class BulkHistogram(Collector):
    """One histogram family. `bounds` are the upper bounds of its buckets, ascending, without infinity. Thread-safe."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._bounds = np.asarray(bounds)
        self._series: dict[tuple[str, ...], Series] = {}
        self._creating = threading.Lock()

    def labels(self, *values: str) -> Series:
        """The series of these label values; to be kept by whoever observes often."""
        with self._creating:
            return self._series.setdefault(values, Series(self._bounds))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family as it stands, for a scrape."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        for values, series in list(self._series.items()):
            counts, total = series.count()
            cumulated = np.cumsum(counts).astype(float)
            counted = zip(names, cumulated, series.exemplars(), strict=True)
            family.add_metric(values, [(n, c, e) if e else (n, c) for n, c, e in counted], total)
        yield family


class Series:
    """The counts of one set of label values, and what is not counted yet."""

    def __init__(self, bounds: NDArray[np.float64]) -> None:
        self._pending: deque[float] = deque()
        self._bounds = bounds
        self._counts = np.zeros(len(bounds) + 1, np.int64)
        self._sum = 0.0
        self._counting = threading.Lock()
        self._exemplars: list[Exemplar | None] = [None] * len(self._counts)

    def exemplify(self, value: float, trace_id: str) -> None:
        """Have `value`, which was observed, stand for its bucket with the trace that it was part of."""
        bucket = int(self._bounds.searchsorted(value, side="left"))
        self._exemplars[bucket] = Exemplar({"trace_id": trace_id}, value, time.time())

    def exemplars(self) -> Sequence[Exemplar | None]:
        """The last exemplar of each bucket; OpenMetrics shows them, Prometheus' older text does not."""
        return tuple(self._exemplars)

    def observe(self, values: Iterable[float]) -> None:
        """Add `values`."""
        self._pending.extend(values)
        if len(self._pending) > MAX_PENDING:
            self.count()

    def count(self) -> tuple[NDArray[np.int64], float]:
        """Count what is pending; returns the observations per bucket, the last one unbounded, and their sum."""
        with self._counting:
            # Lanes append meanwhile: popping one by one loses nothing, where swapping the deque could.
            values = np.array([self._pending.popleft() for _ in range(len(self._pending))])
            # A bound belongs to its bucket ("le"), hence side="left".
            self._counts += np.bincount(self._bounds.searchsorted(values, side="left"), minlength=len(self._counts))
            self._sum += float(values.sum())
            return self._counts.copy(), self._sum
