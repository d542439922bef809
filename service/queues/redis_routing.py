"""Routings in Redis: the same for all front-ends, and known to the workers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Self

from service.core.errors import Refused
from service.core.routing import Record, from_json, to_json
from service.queues.keys import Keys
from service.queues.redis_link import Away, Link
from service.queues.redis_url import Server
from service.queues.scripts import ROUTE

#: Routings outlive whoever reads them last by so much, in ms; every start and every change begins it anew.
TTL_MS = 366 * 24 * 3600 * 1000


class RedisRouting:
    """`Keeper` of routings in one hash, a field per model; an async context manager."""

    def __init__(self, server: Server, keys: Keys | None = None) -> None:
        self._key = (keys or Keys()).routes
        self._link = Link(server, on_up=self._renew)
        self._known: Mapping[str, Record] = {}

    async def __aenter__(self) -> Self:
        """Connect; Redis may be away for now."""
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._link.__aexit__()

    async def load(self) -> Mapping[str, Record]:
        """What Redis has. While it is away, and when it has lost them, what was known stays in force."""
        with contextlib.suppress(Away):
            fields = await self._link.send("HGETALL", self._key)
            found = {name.decode(): from_json(text) for name, text in zip(fields[::2], fields[1::2], strict=True)}
            self._known = {**self._known, **found}
        return self._known

    async def save(self, model: str, before: Record, after: Record) -> None:
        """Replace one model's record. Raises `Refused` when another front-end was faster, `NotReady` while away."""
        expected = to_json(before) if before.revision else b""
        if not await self._link.run(ROUTE, (self._key,), model, expected, to_json(after), TTL_MS):
            raise Refused(f"routing: that of {model!r} was changed by somebody else meanwhile")
        self._known = {**self._known, model: after}

    def _renew(self) -> None:
        self._link.send("PEXPIRE", self._key, TTL_MS).add_done_callback(_heard)


def _heard(reply: asyncio.Future[Any]) -> None:
    """Nobody waits for this one; a failure means that Redis is away, and the next connection tries again."""
    if not reply.cancelled():
        reply.exception()
