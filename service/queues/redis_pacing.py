"""The pace of each caller, counted in Redis: its allowance holds over all front-ends together."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from typing import Any, Self

from service.core.access import Caller, too_fast
from service.core.errors import Reason
from service.queues.keys import Keys
from service.queues.redis_link import Link
from service.queues.redis_url import Server
from service.queues.scripts import KEEP_PACE, PACE

_LEASE_S = 30.0
_BURST_US = 1_000_000
_VERDICTS = {b"RATE": Reason.CALLER_RATE, b"BYTES": Reason.CALLER_BYTES, b"CONCURRENCY": Reason.CALLER_CONCURRENCY}


class RedisPacing:
    """`Pacing` over all front-ends of one Redis; to be entered where the event loop runs.

    Open calls hold leases, which are renewed while this front-end lives: one that dies takes nobody's place for long.
    """

    def __init__(self, server: Server, keys: Keys | None = None) -> None:
        self._keys = keys or Keys()
        self._link = Link(server)
        self._open: defaultdict[str, list[str]] = defaultdict(list)  # calls by caller; which one ends is all the same
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._link.__aenter__()
        self._renewing = asyncio.create_task(self._renew_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewing:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        await self._link.__aexit__()

    async def enter(self, caller: Caller, size: int) -> None:
        """Count one more call; see `Pacing.enter`. Raises `NotReady` while Redis is away."""
        if not caller.allowance.limited:
            return
        call = uuid.uuid4().hex
        await self._take(caller, size, call)
        self._open[caller.name].append(call)

    async def take(self, caller: Caller, size: int) -> None:
        """Count one more message; see `Pacing.take`. Raises `NotReady` while Redis is away."""
        if caller.allowance.limited:
            await self._take(caller, size, "")

    async def leave(self, caller: Caller) -> None:
        """The call is over. Not waited for: what Redis does not hear now, it learns when the lease ends."""
        if caller.allowance.limited:
            call = self._open[caller.name].pop()
            self._link.send("ZREM", self._keys.calls(caller.name), call).add_done_callback(_heard)

    async def _take(self, caller: Caller, size: int, call: str) -> None:
        allowed = caller.allowance
        costs = (1e6 / allowed.requests_per_s, 1e6 * size / allowed.bytes_per_s)
        keys = (self._keys.pace(caller.name), self._keys.calls(caller.name))
        lease_us = int(_LEASE_S * 1e6)
        verdict, wait_us = await self._link.run(
            PACE, keys, *(f"{cost:.0f}" for cost in costs), f"{allowed.concurrent:g}", call, lease_us, _BURST_US
        )
        if verdict in _VERDICTS:
            raise too_fast(caller, wait_us / 1e6, _VERDICTS[verdict])

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_LEASE_S / 3)
            for name, calls in self._open.items():
                if calls:
                    key = self._keys.calls(name)
                    self._link.run(KEEP_PACE, (key,), int(_LEASE_S * 1e6), *calls).add_done_callback(_heard)


def _heard(reply: asyncio.Future[Any]) -> None:
    """Nobody waits for this one; a failure means that Redis is away, which every other command tells."""
    if not reply.cancelled():
        reply.exception()
