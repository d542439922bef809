"""Logs: structlog for everything, the standard library's loggers included."""

from __future__ import annotations

import logging
import re
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from service.core.events import (
    BatchBisected,
    Compared,
    DriftSampled,
    Event,
    ModelChanged,
    ProviderFellBack,
    RoutingChanged,
)
from service.telemetry.context import REQUEST_ID, trace_id

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]

_log = structlog.get_logger("vitrine.events")
#: As `service.security.keys` makes them: the prefix, then 256 bits in base64.
_API_KEY = re.compile(r"vitrine_[\w-]{43,}")


def configure(level: Level, style: Format) -> None:
    """Send all logs to stderr, as JSON lines or for people; "auto" is for people when stderr is a terminal."""
    readable = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_request,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # The console renderer draws tracebacks itself; JSON needs them as text.
    last: list[Processor] = (
        # Plain tracebacks: the pretty ones print local variables, pictures and secrets among them.
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if readable
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last, _hide_keys],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _hide_keys(_logger: WrappedLogger, _method: str, rendered: object) -> str:
    """API keys never reach a log, also where a caller has put one into an id or a name."""
    line = str(rendered)
    return _API_KEY.sub("vitrine_***", line) if "vitrine_" in line else line


def _add_request(_logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
    """Name the request and the trace that the line belongs to."""
    if request := REQUEST_ID.get():
        entry["request_id"] = request
    if trace := trace_id():
        entry["trace_id"] = trace
    return entry


def log_event(event: Event) -> None:
    """Log the events that an operator reads; those of single requests are metrics only."""
    match event:
        case ModelChanged(state="failed"):
            _log.error("model failed", model=str(event.model), reason=event.reason, took_s=round(event.took_s, 3))
        case ModelChanged():
            known = {"provider": event.provider, "reason": event.reason, "took_s": round(event.took_s, 3)}
            _log.info(f"model {event.state}", model=str(event.model), **{k: v for k, v in known.items() if v})
        case ProviderFellBack():
            _log.warning(
                "provider fell back", model=str(event.model), wanted=event.wanted, used=event.used, reason=event.reason
            )
        case RoutingChanged():
            routing = event.routing
            known = {"labels": routing.labels, "split": routing.split, "shadow": routing.shadow}
            _log.info("routing in force", model=event.model, revision=event.revision, **known)
        case Compared(outcome="disagreed"):
            _log.info("shadow disagrees", request=event.id, model=str(event.model), shadow=str(event.shadow))
        case DriftSampled(outcome="failed"):
            _log.info("activation drift not measured", model=str(event.model), reason=event.reason)
        case BatchBisected():
            _log.warning(
                "batch failed, halved",
                model=str(event.model),
                size=event.size,
                error=event.error,
                requests=event.requests,
            )
