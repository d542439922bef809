"""What only Redis knows of the queue: how long the oldest request waits, who works, what has died."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.core.messages import ModelKey


class Line(Protocol):
    """The queue of one model version, as it was seen last."""

    @property
    def model(self) -> ModelKey:
        """Whose it is."""

    @property
    def oldest_s(self) -> float:
        """Seconds since the oldest request in it was queued; 0 when it is empty."""

    @property
    def lanes(self) -> int:
        """Lanes of all workers that live."""

    @property
    def leased(self) -> int:
        """Requests that a worker holds."""

    @property
    def dead_letters(self) -> int:
        """Requests that killed their workers too often."""


_FAMILIES: tuple[tuple[str, str, Callable[[Line], float]], ...] = (
    ("vitrine_queue_oldest_seconds", "Since the oldest request in Redis was queued", lambda line: line.oldest_s),
    ("vitrine_queue_leased", "Requests in Redis that a worker holds", lambda line: line.leased),
    ("vitrine_queue_lanes", "Lanes of the workers that live", lambda line: line.lanes),
    (
        "vitrine_dead_letters",
        "Requests that killed their workers too often",
        lambda line: line.dead_letters,
    ),
)


class LineSeries(Collector):
    """Gauges of every line, as `show` was told of them last. Every front-end tells the same: aggregate by max."""

    def __init__(self) -> None:
        self._lines: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """What is told from now on; nothing while nobody knows."""
        self._lines = lines

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every family, of one survey."""
        lines = self._lines
        for name, about, read in _FAMILIES:
            family = GaugeMetricFamily(name, about, labels=["model", "version"])
            for line in lines:
                family.add_metric([line.model.name, str(line.model.version)], read(line))
            yield family
