"""Events become metrics; what is read is Prometheus' own text."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from service.core.drift_window import LayerDrift
from service.core.errors import Code, Reason
from service.core.events import (
    BatchBisected,
    BatchRan,
    BatchTaken,
    Buried,
    DriftMeasured,
    DriftSampled,
    Dropped,
    Event,
    JobChanged,
    JobItemsDone,
    LookedIn,
    ModelChanged,
    ProviderFellBack,
    Redelivered,
    Rejected,
    RequestDone,
)
from service.core.messages import ModelKey, Prediction
from service.core.ports import Depth
from service.telemetry.context import TRACEPARENT
from service.telemetry.metrics import Metrics
from service.telemetry.predictions import MAX_LABELS
from tests.fakes import BROKEN, READY

DIGITS = ModelKey("digits", 3)


def scraped(metrics: Metrics) -> dict[str, float]:
    """Samples by name and labels, e.g. `up{job="a"}`."""
    body, _ = metrics.render()
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def after(*events: Event) -> dict[str, float]:
    metrics = Metrics("1.2.3")
    for event in events:
        metrics.emit(event)
    return scraped(metrics)


def test_requests_are_counted_by_model_method_and_code() -> None:
    """Successes and failures are series of one counter."""
    samples = after(
        RequestDone("digits", "Classify", None, 0.002),
        RequestDone("digits", "Classify", None, 0.003),
        RequestDone("digits", "ClassifyStream", Code.TOO_LATE, 0.5),
    )

    assert samples["vitrine_requests_total code=OK method=Classify model=digits"] == 2
    assert samples["vitrine_requests_total code=TOO_LATE method=ClassifyStream model=digits"] == 1
    assert samples["vitrine_latency_seconds_count model=digits stage=total"] == 3


def test_names_that_callers_make_up_share_one_series() -> None:
    """A request for a model that is not there must not add a label value."""
    samples = after(RequestDone("", "Classify", Code.NOT_FOUND, 0.0), Rejected("", Reason.FULL))

    assert samples["vitrine_requests_total code=NOT_FOUND method=Classify model=unknown"] == 1
    assert samples["vitrine_rejected_total model=unknown reason=FULL"] == 1


def test_a_batch_tells_the_stages_of_each_of_its_requests() -> None:
    """Queue and decode are per picture; compute is the batch's run, counted for every picture in it."""
    samples = after(BatchRan(DIGITS, "cpu fp32", 2, (0.001, 0.002), (0.0001, 0.0002), 0.004))

    assert samples["vitrine_latency_seconds_count model=digits stage=queue"] == 2
    assert samples["vitrine_latency_seconds_sum model=digits stage=queue"] == 0.003
    assert samples["vitrine_latency_seconds_count model=digits stage=decode"] == 2
    assert samples["vitrine_latency_seconds_sum model=digits stage=compute"] == 0.008
    assert samples["vitrine_batch_size_bucket le=2.0 model=digits"] == 1
    assert samples["vitrine_batch_size_bucket le=1.0 model=digits"] == 0


def test_work_that_was_shed_says_why() -> None:
    """Rejected, expired, cancelled and halved are told apart."""
    samples = after(
        Rejected("digits", Reason.BYTES),
        Dropped(DIGITS, "queue", expired=True),
        Dropped(DIGITS, "compute", expired=False),
        BatchBisected(DIGITS, 4, "out of memory"),
    )

    assert samples["vitrine_rejected_total model=digits reason=BYTES"] == 1
    assert samples["vitrine_dropped_total cause=expired model=digits stage=queue"] == 1
    assert samples["vitrine_dropped_total cause=cancelled model=digits stage=compute"] == 1
    assert samples["vitrine_batches_bisected_total model=digits"] == 1


def test_a_version_is_in_one_state() -> None:
    """Loading is over when it is ready; load time and provider come with it."""
    samples = after(
        ModelChanged(DIGITS, "loading"), ModelChanged(DIGITS, "ready", took_s=1.5, provider="openvino bf16")
    )

    assert samples["vitrine_model_state model=digits state=ready version=3"] == 1
    assert "vitrine_model_state model=digits state=loading version=3" not in samples
    assert samples["vitrine_model_load_seconds model=digits version=3"] == 1.5
    assert samples["vitrine_model_provider_info model=digits provider=openvino bf16 version=3"] == 1


def test_a_failed_version_is_counted() -> None:
    """And stays visible in its state."""
    samples = after(ModelChanged(DIGITS, "loading"), ModelChanged(DIGITS, "failed", reason="digest"))

    assert samples["vitrine_model_state model=digits state=failed version=3"] == 1
    assert samples["vitrine_model_load_failures_total model=digits"] == 1


def test_a_fallback_is_visible_while_the_version_is_loaded() -> None:
    """Never silently slow, and no trace of what is gone."""
    loaded: list[Event] = [
        ModelChanged(DIGITS, "loading"),
        ProviderFellBack(DIGITS, "openvino", "cpu", "not installed"),
        ModelChanged(DIGITS, "ready", took_s=1.0, provider="cpu fp32"),
    ]
    name = "vitrine_provider_fallback_info model=digits used=cpu version=3 wanted=openvino"

    assert after(*loaded)[name] == 1
    gone = after(*loaded, ModelChanged(DIGITS, "unloading"), ModelChanged(DIGITS, "available"))
    assert not [name for name in gone if "model=digits" in name]


def test_queue_depth_is_read_at_the_scrape() -> None:
    """Gauges show what is there at that moment, for the versions that are ready."""
    metrics = Metrics("1.2.3")
    depths = {DIGITS: Depth(2, 2048)}
    metrics.watch(lambda key: depths[key], lambda: 7)
    metrics.emit(ModelChanged(DIGITS, "ready"))
    before = scraped(metrics)
    depths[DIGITS] = Depth(5, 4096)
    later = scraped(metrics)

    assert before["vitrine_queue_entries model=digits version=3"] == 2
    assert later["vitrine_queue_entries model=digits version=3"] == 5
    assert later["vitrine_queue_bytes model=digits version=3"] == 4096
    assert later["vitrine_requests_in_flight"] == 7


def test_what_runs_is_told() -> None:
    """The build's version is a label of a constant metric."""
    body, content_type = Metrics("1.2.3").render()

    assert b'vitrine_build_info{python="' in body
    assert b'version="1.2.3"' in body
    assert content_type.startswith("text/plain")


def test_the_scraper_chooses_the_format() -> None:
    """Prometheus asks for OpenMetrics and gets it."""
    body, content_type = Metrics("1.2.3").render("application/openmetrics-text; version=1.0.0")

    assert body.endswith(b"# EOF\n")
    assert content_type.startswith("application/openmetrics-text")


def answered(*labels: str, score: float = 0.9) -> RequestDone:
    best = tuple(Prediction(label, 0, score) for label in labels)
    return RequestDone("digits", "Classify", None, 0.002, best=best)


def test_no_format_is_claimed_that_is_not_written() -> None:
    """The library would answer OpenMetrics 2.0 with the text of 1.0; the next best that is asked for is written."""
    later = "application/openmetrics-text;version=2.0.0;q=0.6"
    both = f"{later}, application/openmetrics-text; version=1.0.0; q=0.5, text/plain; version=0.0.4"

    assert Metrics("1").render(both)[1].startswith("application/openmetrics-text; version=1.0.0;")
    assert Metrics("1").render(f"{later},text/plain;version=0.0.4")[1].startswith("text/plain; version=0.0.4;")


def test_answers_are_counted_by_their_best_class() -> None:
    """With how sure the model was: when the pictures change, this changes first."""
    samples = after(answered("seven", "one"), answered("seven", score=0.35))

    assert samples["vitrine_predictions_total label=seven model=digits"] == 2
    assert samples["vitrine_predictions_total label=one model=digits"] == 1
    assert samples["vitrine_prediction_score_bucket le=0.4 model=digits"] == 1
    assert samples["vitrine_prediction_score_count model=digits"] == 3


def test_thousands_of_classes_are_few_series() -> None:
    """Classes beyond the first fifty share one series, and each keeps the one that it had."""
    metrics = Metrics("1.2.3")
    metrics.emit(answered(*(f"class {n}" for n in range(1000))))
    first = scraped(metrics)
    metrics.emit(answered("class 7", "class 700", "class 700"))
    later = scraped(metrics)

    assert len([name for name in first if name.startswith("vitrine_predictions_total")]) == MAX_LABELS + 1
    assert first["vitrine_predictions_total label=other model=digits"] == 950
    assert later["vitrine_predictions_total label=class 7 model=digits"] == 2
    assert later["vitrine_predictions_total label=other model=digits"] == 952


def test_batches_tell_what_bounded_them() -> None:
    """Full ones ask for more lanes, drained ones do not."""
    samples = after(BatchTaken(DIGITS, 8, "full"), BatchTaken(DIGITS, 8, "full"), BatchTaken(DIGITS, 1, "drained"))

    assert samples["vitrine_batches_taken_total model=digits reason=full"] == 2
    assert samples["vitrine_batches_taken_total model=digits reason=drained"] == 1


def test_what_the_dead_leave_is_counted() -> None:
    """Leased again, and in the end given up."""
    samples = after(Redelivered(DIGITS, 1), Redelivered(DIGITS, 2), Buried(DIGITS))

    assert samples["vitrine_redeliveries_total model=digits"] == 2
    assert samples["vitrine_burials_total model=digits"] == 1


def test_leases_are_read_at_the_scrape() -> None:
    """As many as the worker holds then."""
    metrics = Metrics("1.2.3")
    metrics.watch_leases(lambda: {DIGITS: 5})

    assert scraped(metrics)["vitrine_leases model=digits version=3"] == 5


def test_jobs_are_counted_by_callers_and_by_workers() -> None:
    """What was asked for, and what became of the items."""
    samples = after(JobChanged("opened"), JobChanged("sealed"), JobItemsDone(DIGITS, 30, 1))

    assert samples["vitrine_jobs_total action=opened"] == 1
    assert samples["vitrine_job_items_total model=digits outcome=succeeded"] == 30
    assert samples["vitrine_job_items_total model=digits outcome=failed"] == 1


def test_looking_in_has_its_own_times() -> None:
    """By how it ended, so that those turned away do not make it look quick."""
    samples = after(LookedIn(None, 0.2), LookedIn(Code.OVERLOADED, 0.0))

    assert samples["vitrine_introspection_seconds_sum code=OK"] == 0.2
    assert samples["vitrine_introspection_seconds_count code=OVERLOADED"] == 1


def test_a_tuned_version_shows_its_setting() -> None:
    """What it runs with, and what that reached when it was measured; a broken one has none."""
    metrics = Metrics("1.2.3")
    metrics.watch_settings(lambda: (READY, BROKEN))
    samples = scraped(metrics)
    setting = "batch=8 cached=true intra_op_threads=1 lanes=2 model=digits precision=bf16 provider=openvino version=3"

    assert samples[f"vitrine_model_setting_info {setting}"] == 1
    assert samples["vitrine_model_tuned_images_per_second model=digits version=3"] == 11100
    assert samples["vitrine_model_tuned_latency_seconds model=digits version=3"] == 0.0015
    assert samples["vitrine_model_settings_ruled_out model=digits version=3"] == 1
    assert not [name for name in samples if "fashion" in name]


def test_drift_is_told_of_versions_that_answer() -> None:
    """By layer, as it was measured last; one that was unloaded has no such series."""
    measured = [DriftMeasured(DIGITS, 100, {"stem": LayerDrift(share, 0.75)}) for share in (0.5, 0.25)]
    events: list[Event] = [ModelChanged(DIGITS, "ready"), *measured, DriftSampled(DIGITS, "measured")]
    samples, later = after(*events), after(*events, ModelChanged(DIGITS, "unloaded"))

    assert samples["vitrine_activation_drift_ratio layer=stem model=digits version=3"] == 0.25
    assert samples["vitrine_activation_drift_distance layer=stem model=digits version=3"] == 0.75
    assert samples["vitrine_activation_drift_pictures model=digits version=3"] == 100
    assert samples["vitrine_activation_drift_samples_total model=digits outcome=measured"] == 1
    assert "vitrine_activation_drift_ratio layer=stem model=digits version=3" not in later


def test_a_slow_request_leads_to_its_trace() -> None:
    """OpenMetrics shows an exemplar in the bucket that the request fell into; the older text cannot."""
    metrics = Metrics("1.2.3")
    token = TRACEPARENT.set("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    metrics.emit(RequestDone("digits", "Classify", None, 0.2))
    TRACEPARENT.reset(token)
    lines = metrics.render("application/openmetrics-text; version=1.0.0")[0].decode().splitlines()
    (line,) = (line for line in lines if "0af7651916cd43dd8448eb211c80319c" in line)

    assert line.startswith('vitrine_latency_seconds_bucket{le="0.25",model="digits",stage="total"} 1.0 # {trace_id=')
    assert b"0af7651916cd43dd8448eb211c80319c" not in metrics.render()[0]
