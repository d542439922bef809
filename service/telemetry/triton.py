"""Triton's metrics under Triton's names, so that its dashboards and autoscalers work unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.core.messages import ModelKey
from service.core.ports import Depth
from service.telemetry.statistics import OTHER, REASONS, Statistics, Totals

_Read = Callable[[Totals], int]

_COUNTERS: Mapping[str, tuple[str, _Read]] = {
    "nv_inference_request_success": ("Requests answered", lambda totals: totals.success.count),
    "nv_inference_count": ("Pictures answered", lambda totals: totals.pictures),
    "nv_inference_exec_count": ("Batches computed", lambda totals: sum(each.executions for each in totals.batches)),
    "nv_inference_request_duration_us": ("Time of requests, in microseconds", lambda totals: totals.success.ns // 1000),
    "nv_inference_queue_duration_us": ("Time in the queue, in microseconds", lambda totals: totals.queue.ns // 1000),
    "nv_inference_compute_input_duration_us": (
        "Time of decoding, in microseconds",
        lambda totals: totals.compute_input.ns // 1000,
    ),
    "nv_inference_compute_infer_duration_us": (
        "Time in the network, in microseconds",
        lambda totals: totals.compute_infer.ns // 1000,
    ),
    "nv_inference_compute_output_duration_us": (
        "Time from the network to the caller, in microseconds",
        lambda totals: totals.compute_output.ns // 1000,
    ),
    "nv_cache_num_hits_per_model": ("Answers from the response cache", lambda totals: totals.cache_hit.count),
    "nv_cache_num_misses_per_model": ("Answers that it had not", lambda totals: totals.cache_miss.count),
    "nv_cache_hit_duration_per_model": (
        "Time of looking up what was there, in microseconds",
        lambda totals: totals.cache_hit.ns // 1000,
    ),
    "nv_cache_miss_duration_per_model": (
        "Time of looking up what was not, in microseconds",
        lambda totals: totals.cache_miss.ns // 1000,
    ),
}
_REASONS = (*REASONS.values(), OTHER)


class TritonCollector(Collector):
    """Reads the statistics at each scrape; `ready` are the versions that answer, `depth` is what waits for one."""

    def __init__(
        self,
        statistics: Statistics,
        ready: Callable[[], Sequence[ModelKey]],
        depth: Callable[[ModelKey], Depth],
    ) -> None:
        self._statistics = statistics
        self._ready = ready
        self._depth = depth

    def collect(self) -> Iterator[Metric]:
        """Every family, at one instant."""
        all_totals = self._statistics.all()
        for name, (about, read) in _COUNTERS.items():
            yield _family(name, about, {_labels(key): read(totals) for key, totals in all_totals.items()})
        failures = {
            (*_labels(key), ("reason", reason)): totals.failures.get(reason, 0)
            for key, totals in all_totals.items()
            for reason in _REASONS
        }
        yield _family("nv_inference_request_failure", "Requests that failed", failures)
        pending = GaugeMetricFamily(
            "nv_inference_pending_request_count", "Pictures that wait or run", labels=["model", "version"]
        )
        for key in self._ready():
            pending.add_metric([key.name, str(key.version)], self._depth(key).entries)
        yield pending


_Labels = tuple[tuple[str, str], ...]


def _labels(key: ModelKey) -> _Labels:
    return (("model", key.name), ("version", str(key.version)))


def _family(name: str, about: str, samples: Mapping[_Labels, int]) -> Metric:
    """A counter whose samples have no `_total`, which the client library's own counters would get.

    Untyped, because OpenMetrics allows no counter of such a name; Prometheus treats both alike.
    """
    family = Metric(name, about, "unknown")
    for labels, value in samples.items():
        family.add_sample(name, dict(labels), value)
    return family
