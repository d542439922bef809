"""Routings in Redis: the same for all front-ends, and known to the workers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Self

import structlog

from service.core.errors import InvalidInput, Refused
from service.core.routing import Record, from_json, to_json
from service.queues.keys import Keys
from service.queues.redis_link import Away, Link
from service.queues.redis_url import Server
from service.queues.scripts import ROUTE

#: Routings outlive whoever reads them last by so much, in ms; every start and every change begins it anew.
TTL_MS = 366 * 24 * 3600 * 1000

_log = structlog.get_logger("vitrine.queues")


class RedisRouting:
    """`Keeper` of routings in one hash, a field per model; an async context manager."""

    def __init__(self, server: Server, keys: Keys | None = None) -> None:
        self._key = (keys or Keys()).routes
        self._link = Link(server, on_up=self._renew)
        self._known: Mapping[str, Record] = {}
        self._unreadable: dict[bytes, bytes] = {}

    async def __aenter__(self) -> Self:
        """Connect; Redis may be away for now."""
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._link.__aexit__()

    async def load(self) -> Mapping[str, Record]:
        """What Redis has. While it is away, has lost them, or has what is none, what was known stays in force."""
        with contextlib.suppress(Away):
            fields = await self._link.send("HGETALL", self._key)
            records = zip(fields[::2], fields[1::2], strict=True)
            found = {name.decode("utf-8", "replace"): self._read(name, text) for name, text in records}
            self._known = {**self._known, **{name: record for name, record in found.items() if record}}
        return self._known

    def _read(self, name: bytes, text: bytes) -> Record | None:
        """One record; None, said once, for what is none: somebody else's, or a newer Vitrine's."""
        try:
            return from_json(text, name.decode("utf-8", "replace"))
        except InvalidInput as error:
            if self._unreadable.get(name) != text:
                self._unreadable[name] = text
                _log.warning("a routing in Redis cannot be read", reason=str(error))
            return None

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
