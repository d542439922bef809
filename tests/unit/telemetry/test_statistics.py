"""Triton's statistics: what adds up to what, for every way in which requests end."""

from __future__ import annotations

import threading

import pytest

from service.core.errors import Code, Reason
from service.core.events import CacheAsked, Rejected, RequestDone
from service.core.messages import ModelKey, Timing
from service.core.ports import Depth
from service.telemetry.metrics import Metrics
from service.telemetry.statistics import Duration, Statistics

DIGITS = ModelKey("digits", 3)


def timing(queue_us: int, decode_us: int, compute_us: int, batch_size: int) -> Timing:
    return Timing(queue_us, decode_us, compute_us, batch_size, "cpu fp32")


def done(took_s: float, *timings: Timing, code: Code | None = None) -> RequestDone:
    return RequestDone("digits", "ModelInfer", code, took_s, 3, timings)


@pytest.fixture
def statistics() -> Statistics:
    return Statistics(wall=lambda: 1234.5)


def test_a_request_counts_once_its_pictures_each(statistics: Statistics) -> None:
    """Three pictures in one request: its stages are those of the slowest."""
    statistics.emit(done(0.01, timing(100, 10, 500, 2), timing(100, 20, 500, 2), timing(900, 30, 700, 1)))
    totals = statistics.of(DIGITS)

    assert (totals.pictures, totals.last_ms) == (3, 1_234_500)
    assert totals.success == Duration(1, 10_000_000)
    assert (totals.queue, totals.compute_input) == (Duration(1, 900_000), Duration(1, 30_000))
    assert totals.compute_infer == Duration(1, 700_000)


def test_stages_add_up_to_the_whole(statistics: Statistics) -> None:
    """What is neither waiting nor computing is the way out."""
    statistics.emit(done(0.002, timing(300, 200, 500, 1)))
    totals = statistics.of(DIGITS)
    stages = (totals.queue, totals.compute_input, totals.compute_infer, totals.compute_output)

    assert totals.compute_output == Duration(1, 1_000_000)
    assert sum(stage.ns for stage in stages) == totals.success.ns


def test_what_the_cache_answered_was_not_computed(statistics: Statistics) -> None:
    """It counts as a success and in the queue, and nowhere in the network, as in Triton."""
    statistics.emit(done(0.002, timing(300, 200, 500, 1)))
    statistics.emit(CacheAsked(DIGITS, "miss", 0.0001))
    statistics.emit(done(0.001, Timing(0, 0, 0, 0, "cache")))
    statistics.emit(CacheAsked(DIGITS, "hit", 0.0002))
    totals = statistics.of(DIGITS)

    assert (totals.success, totals.queue) == (Duration(2, 3_000_000), Duration(2, 300_000))
    assert (totals.pictures, totals.compute_infer) == (1, Duration(1, 500_000))
    assert totals.compute_output == Duration(1, 1_000_000)
    assert (totals.cache_hit, totals.cache_miss) == (Duration(1, 200_000), Duration(1, 100_000))
    assert [batches.size for batches in totals.batches] == [1]


def test_batches_are_told_by_their_members(statistics: Statistics) -> None:
    """Four pictures of batches of two make two executions, each as long as the network ran."""
    for _ in range(4):
        statistics.emit(done(0.001, timing(0, 10, 600, 2)))
    (batches,) = statistics.of(DIGITS).batches

    assert (batches.size, batches.executions) == (2, 2)
    assert batches.compute_infer == Duration(2, 1_200_000)
    assert batches.compute_input == Duration(2, 40_000)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (Code.OVERLOADED, "REJECTED"),
        (Code.CANCELLED, "CANCELED"),
        (Code.FAILED, "BACKEND"),
        (Code.TOO_LATE, "OTHER"),
        (Code.INVALID, "OTHER"),
    ],
)
def test_failures_have_tritons_reasons(statistics: Statistics, code: Code, reason: str) -> None:
    """And their time, and nothing else."""
    statistics.emit(done(0.5, code=code))
    totals = statistics.of(DIGITS)

    assert (totals.fail, totals.failures) == (Duration(1, 500_000_000), {reason: 1})
    assert (totals.success, totals.pictures) == (Duration(0, 0), 0)


def test_what_found_no_model_is_not_counted(statistics: Statistics) -> None:
    """Names that callers make up are no models, and shed requests are told of by another event."""
    statistics.emit(RequestDone("", "ModelInfer", Code.NOT_FOUND, 0.1))
    statistics.emit(Rejected("digits", Reason.FULL))

    assert dict(statistics.all()) == {}


def test_snapshots_are_whole(statistics: Statistics) -> None:
    """perf_analyzer aborts when the counts of the stages differ, so none may be read between two of them."""
    request = done(0.001, timing(1, 2, 3, 1))

    def write() -> None:
        for _ in range(2000):
            statistics.emit(request)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        totals = statistics.of(DIGITS)
        counts = {totals.success.count, totals.queue.count, totals.compute_infer.count, totals.compute_output.count}
        assert counts == {totals.pictures}
    for writer in writers:
        writer.join()

    assert statistics.of(DIGITS).pictures == 6000


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_metrics_have_tritons_names(accept: str) -> None:
    """Without the `_total` that a counter would get, in either format, or dashboards find nothing."""
    metrics = Metrics("1.2.3")
    metrics.watch(lambda _: Depth(5, 100), lambda: 0)
    metrics.emit(done(0.01, timing(900, 30, 700, 2), timing(800, 30, 700, 2)))
    metrics.emit(done(0.5, code=Code.OVERLOADED))
    lines = metrics.render(accept)[0].decode().splitlines()
    values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("nv_")}
    labels = '{model="digits",version="3"}'

    assert values[f"nv_inference_request_success{labels}"] == 1
    assert values[f"nv_inference_count{labels}"] == 2
    assert values[f"nv_inference_exec_count{labels}"] == 1
    assert values[f"nv_inference_request_duration_us{labels}"] == 10_000
    assert values[f"nv_inference_queue_duration_us{labels}"] == 900
    assert values[f"nv_inference_compute_input_duration_us{labels}"] == 30
    assert values[f"nv_inference_compute_infer_duration_us{labels}"] == 700
    assert values[f"nv_inference_compute_output_duration_us{labels}"] == 8370
    failures = {key: value for key, value in values.items() if key.startswith("nv_inference_request_failure")}
    assert sum(failures.values()) == 1
    assert [key for key, value in failures.items() if value] == [
        'nv_inference_request_failure{model="digits",reason="REJECTED",version="3"}'
    ]
