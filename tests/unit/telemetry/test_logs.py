"""Logs: one line per fact, for machines or for people."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from service.core.events import BatchBisected, ModelChanged, ProviderFellBack, RequestDone
from service.core.messages import ModelKey
from service.telemetry.logs import configure, log_event

DIGITS = ModelKey("digits", 3)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Logging is the process's own: leave it as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_a_line_of_json_has_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    """Event, level, time and values are fields."""
    configure("info", "json")
    structlog.get_logger("vitrine.test").info("model ready", model="digits:3")
    entry = json.loads(capsys.readouterr().err)

    assert (entry["event"], entry["level"], entry["model"]) == ("model ready", "info", "digits:3")
    assert entry["timestamp"].endswith("Z")


def test_libraries_log_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """What uvicorn or grpc say through the standard library is JSON as well."""
    configure("info", "json")
    logging.getLogger("uvicorn.error").warning("port %d is busy", 80)
    entry = json.loads(capsys.readouterr().err)

    assert (entry["event"], entry["logger"]) == ("port 80 is busy", "uvicorn.error")


def test_a_traceback_fits_into_json(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception is a field of the line, not lines of its own."""
    configure("info", "json")
    error = ZeroDivisionError("by zero")
    structlog.get_logger("vitrine.test").error("internal error", exc_info=error)

    assert "ZeroDivisionError: by zero" in json.loads(capsys.readouterr().err)["exception"]


def test_the_level_filters(capsys: pytest.CaptureFixture[str]) -> None:
    """Less than the least level is not written."""
    configure("warning", "json")
    structlog.get_logger("vitrine.test").info("model ready")

    assert capsys.readouterr().err == ""


def test_people_read_it_on_a_console(capsys: pytest.CaptureFixture[str]) -> None:
    """The console format is text, without colours when it is no terminal."""
    configure("info", "console")
    structlog.get_logger("vitrine.test").info("model ready", model="digits:3")
    line = capsys.readouterr().err

    assert "model ready" in line
    assert "model=digits:3" in line
    assert "\x1b[" not in line


def test_operators_read_about_models_not_about_requests() -> None:
    """Requests are metrics; loads, failures, fallbacks and halved batches are logged."""
    with capture_logs() as logs:
        log_event(RequestDone("digits", "Classify", None, 0.1))
        log_event(ModelChanged(DIGITS, "ready", took_s=1.23456, provider="cpu fp32"))
        log_event(ModelChanged(DIGITS, "failed", reason="digest differs"))
        log_event(ProviderFellBack(DIGITS, "openvino", "cpu", "not installed"))
        log_event(BatchBisected(DIGITS, 4, "out of memory"))

    assert [(entry["log_level"], entry["event"]) for entry in logs] == [
        ("info", "model ready"),
        ("error", "model failed"),
        ("warning", "provider fell back"),
        ("warning", "batch failed, halved"),
    ]
    assert logs[0] == {
        "log_level": "info",
        "event": "model ready",
        "model": "digits:3",
        "provider": "cpu fp32",
        "took_s": 1.235,
    }
