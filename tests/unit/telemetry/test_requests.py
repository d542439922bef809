"""One line for each request, and never too many of them."""

from __future__ import annotations

from structlog.testing import capture_logs

from service.core.errors import Code
from service.core.events import ModelChanged, RequestDone
from service.core.messages import ModelKey, Timing
from service.telemetry.requests import RequestLog

DONE = RequestDone("digits", "Classify", None, 0.0123, 3, (Timing(11, 22, 33, 4, "cpu fp32"),))


def test_a_request_tells_where_its_time_went() -> None:
    """Model, outcome and the time of each stage, in milliseconds."""
    with capture_logs() as lines:
        RequestLog(10, now=lambda: 1.0).emit(DONE)

    assert lines == [
        {
            "event": "request",
            "log_level": "info",
            "model": "digits",
            "version": 3,
            "method": "Classify",
            "code": "OK",
            "took_ms": 12.3,
            "queue_ms": 0.011,
            "decode_ms": 0.022,
            "compute_ms": 0.033,
            "batch_size": 4,
            "pictures": 1,
        }
    ]


def test_a_failure_has_its_code() -> None:
    """And no stages, which it did not reach."""
    with capture_logs() as lines:
        RequestLog(10, now=lambda: 1.0).emit(RequestDone("digits", "Classify", Code.TOO_LATE, 0.5))

    assert lines[0]["code"] == "TOO_LATE"
    assert "queue_ms" not in lines[0]


def test_a_flood_writes_a_few_lines_a_second() -> None:
    """The rest is counted, and the next line says how many that were."""
    seconds = iter([1.0] * 1000 + [2.0] * 2)
    log = RequestLog(3, now=lambda: next(seconds))
    with capture_logs() as lines:
        for _ in range(1002):
            log.emit(DONE)

    assert len(lines) == 5
    assert [line.get("omitted") for line in lines] == [None, None, None, 997, None]


def test_they_can_be_switched_off() -> None:
    """With none a second; and other events are no requests."""
    with capture_logs() as lines:
        RequestLog(0).emit(DONE)
        RequestLog(10).emit(ModelChanged(ModelKey("digits", 3), "ready"))

    assert lines == []
