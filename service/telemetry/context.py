"""Which request the code at hand works for: read by logs, exemplars and spans, set by whoever lets requests in."""

from __future__ import annotations

from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
#: The open span, as W3C Trace Context writes it; empty unless this request is traced.
TRACEPARENT: ContextVar[str] = ContextVar("traceparent", default="")


def trace_id() -> str:
    """32 hexadecimal digits, or nothing."""
    return TRACEPARENT.get()[3:35]


def sampled(traceparent: str) -> bool:
    """Whether the trace that it names is recorded: the lowest bit of its flags."""
    return bool(traceparent) and int(traceparent[-1], 16) & 1 == 1
