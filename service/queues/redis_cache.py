"""Answers in Redis, for all front-ends: the second level of the response cache."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Self

from service.core.errors import NotReady
from service.core.messages import Answer
from service.queues.envelope import read_reply, write_reply
from service.queues.keys import Keys
from service.queues.redis_link import Link
from service.queues.redis_url import Server
from service.queues.scripts import KEEP_ANSWER


class RedisCache:
    """`Shared` of at most `max_bytes`, the oldest leaving first; an async context manager.

    While Redis is away there is nothing in it: the cache is never a reason for a request to fail.
    """

    def __init__(self, server: Server, max_bytes: int, ttl_s: float, keys: Keys | None = None) -> None:
        self._keys = (keys or Keys()).cache
        self._link = Link(server)
        self._max_bytes = max_bytes
        self._ttl_ms = max(1, int(ttl_s * 1000))

    async def __aenter__(self) -> Self:
        """Connect; Redis may be away for now."""
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._link.__aexit__()

    async def get(self, key: bytes) -> Answer | None:
        """The answer under a key, None where there is none or Redis is away."""
        with contextlib.suppress(NotReady):
            found = await self._link.send("HGET", self._keys[0], key)
            kept = read_reply(found) if found else None
            return kept if isinstance(kept, Answer) else None
        return None

    async def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer. Not waited for: what Redis does not hear is computed again."""
        reply = self._link.run(KEEP_ANSWER, self._keys, key, write_reply(answer), self._ttl_ms, self._max_bytes)
        reply.add_done_callback(_heard)


def _heard(reply: asyncio.Future[Any]) -> None:
    """Nobody waits for this one; a failure means that Redis is away, which every other command tells."""
    if not reply.cancelled():
        reply.exception()
