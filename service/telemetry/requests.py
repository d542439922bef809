"""One line for each request, with its timing; how many a second is bounded, so that writing them costs nothing much."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from service.core.events import Event, RequestDone
from service.core.messages import Timing

_log = structlog.get_logger("vitrine.requests")


class RequestLog:
    """Writes at most `per_s` lines in a second; the first line after that says how many were left out.

    For the event loop's thread, where requests end.
    """

    def __init__(self, per_s: int, now: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._now = now
        self._second = 0
        self._written = 0
        self._omitted = 0

    def emit(self, event: Event) -> None:
        """Write the line of a request that ended; other events are no requests."""
        if not isinstance(event, RequestDone) or not self._per_s:
            return
        if (second := int(self._now())) != self._second:
            self._second, self._written = second, 0
        if self._written >= self._per_s:
            self._omitted += 1
            return
        self._written += 1
        omitted, self._omitted = self._omitted, 0
        _log.info("request", **_line(event), **({"omitted": omitted} if omitted else {}))


def _line(event: RequestDone) -> dict[str, object]:
    """What is known of it. Times in milliseconds; of several pictures, those of the slowest stage each."""
    about: dict[str, object] = {
        "model": event.model,
        "version": event.version,
        "method": event.method,
        "code": event.code.value if event.code else "OK",
        "took_ms": round(event.took_s * 1000, 3),
    }
    return about | _stages(event.timings) if event.timings else about


def _stages(timings: Sequence[Timing]) -> dict[str, object]:
    return {
        "queue_ms": max(timing.queue_us for timing in timings) / 1000,
        "decode_ms": max(timing.decode_us for timing in timings) / 1000,
        "compute_ms": max(timing.compute_us for timing in timings) / 1000,
        "batch_size": max(timing.batch_size for timing in timings),
        "pictures": len(timings),
    }
