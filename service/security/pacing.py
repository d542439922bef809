"""The pace of each caller: counted in this process, or waited for wherever it is counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from service.core.access import Caller, pace, too_fast
from service.core.errors import Overloaded, Reason
from service.core.ports import Pacing


async def charge(pacing: Pacing, caller: Caller, size: int) -> None:
    """Wait until `size` more bytes of a call under way are within the caller's allowance, as one more request."""
    while True:
        try:
            return await pacing.take(caller, size)
        except Overloaded as early:
            await asyncio.sleep(early.retry_after_s)


@dataclass(slots=True)
class _Tally:
    """Of one caller: calls open, and when its next request and its next byte are due."""

    open: int = 0
    request_due_s: float = 0.0
    byte_due_s: float = 0.0


class LocalPacing:
    """`Pacing` for one front-end: nothing is shared with others."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._tallies: dict[str, _Tally] = {}

    async def enter(self, caller: Caller, size: int) -> None:
        """Count one more call; see `Pacing.enter`."""
        if not caller.allowance.limited:
            return
        tally = self._tallies.setdefault(caller.name, _Tally())
        if tally.open >= caller.allowance.concurrent:
            raise too_fast(caller, 0, Reason.CALLER_CONCURRENCY)
        self._take(caller, tally, size)
        tally.open += 1

    async def take(self, caller: Caller, size: int) -> None:
        """Count one more message; see `Pacing.take`."""
        if caller.allowance.limited:
            self._take(caller, self._tallies.setdefault(caller.name, _Tally()), size)

    async def leave(self, caller: Caller) -> None:
        """The call is over."""
        if caller.allowance.limited:
            self._tallies[caller.name].open -= 1

    def _take(self, caller: Caller, tally: _Tally, size: int) -> None:
        now, allowed = self._now(), caller.allowance
        request_due_s, wait_s = pace(tally.request_due_s, 1 / allowed.requests_per_s, now)
        if wait_s:
            raise too_fast(caller, wait_s, Reason.CALLER_RATE)
        byte_due_s, wait_s = pace(tally.byte_due_s, size / allowed.bytes_per_s, now)
        if wait_s:
            raise too_fast(caller, wait_s, Reason.CALLER_BYTES)
        tally.request_due_s, tally.byte_due_s = request_due_s, byte_due_s
