"""Histograms that are counted in bulk equal those counted one by one."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import Metric

from service.telemetry.histograms import MAX_PENDING, BulkHistogram

BOUNDS = (0.001, 0.01, 0.5, 1.0)


def samples(family: Metric) -> dict[str, float]:
    return {sample.name + sample.labels.get("le", ""): sample.value for sample in family.samples}


def bulk(values: list[float]) -> dict[str, float]:
    histogram = BulkHistogram("took", "How long", ["stage"], BOUNDS)
    for value in values:
        histogram.labels("queue").observe((value,))
    return samples(next(iter(histogram.collect())))


@given(st.lists(st.floats(0, 2) | st.sampled_from(BOUNDS), min_size=1, max_size=50))
def test_it_counts_as_prometheus_does(values: list[float]) -> None:
    """Bucket by bucket, bounds included, with the same sum."""
    theirs = Histogram("took", "How long", ["stage"], buckets=BOUNDS, registry=CollectorRegistry())
    for value in values:
        theirs.labels("queue").observe(value)
    expected = samples(next(iter(theirs.collect())))
    found = bulk(values)

    assert {name: found[name] for name in found if name != "took_sum"} == {
        name: expected[name] for name in expected if name not in ("took_sum", "took_created")
    }
    assert found["took_sum"] == pytest.approx(expected["took_sum"])


def test_nobody_scraping_costs_no_memory() -> None:
    """Beyond a bound the pending values are counted at once, and none is lost."""
    histogram = BulkHistogram("took", "How long", ["stage"], BOUNDS)
    for _ in range(3 * MAX_PENDING):
        histogram.labels("queue").observe((0.1,))

    assert len(histogram.labels("queue")._pending) <= MAX_PENDING
    assert samples(next(iter(histogram.collect())))["took_count"] == 3 * MAX_PENDING


def test_threads_lose_nothing() -> None:
    """Lanes observe while a scrape counts."""
    histogram = BulkHistogram("took", "How long", ["stage"], BOUNDS)

    def observe() -> None:
        for _ in range(20_000):
            histogram.labels("queue").observe((0.1, 0.2))

    threads = [threading.Thread(target=observe) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        list(histogram.collect())
    for thread in threads:
        thread.join()

    assert samples(next(iter(histogram.collect())))["took_count"] == 120_000
