"""Answers that all front-ends of one Redis share."""

from __future__ import annotations

from dataclasses import replace

from service.core.messages import Lease
from service.queues.envelope import write_reply
from service.queues.redis_cache import RedisCache
from tests.contract.benches import answer, request
from tests.integration.queues.parts import KEYS, address
from tests.servers import RedisServer

ANSWER = answer(Lease(request("a"), 0.0))
SIZE = len(write_reply(ANSWER))


async def found(cache: RedisCache, *keys: bytes) -> list[bool]:
    return [await cache.get(key) is not None for key in keys]


async def test_an_answer_is_found_by_every_front_end(server: RedisServer) -> None:
    """As it was, numbers and labels included."""
    async with RedisCache(address(server), 10**6, 60, KEYS) as one, RedisCache(address(server), 10**6, 60, KEYS) as two:
        await one.put(b"1", ANSWER)
        while not (kept := await two.get(b"1")):
            pass
        assert kept == ANSWER
        assert await two.get(b"2") is None


async def test_bytes_are_bounded(server: RedisServer) -> None:
    """The oldest leave; putting one again counts it once; one that cannot fit is not kept."""
    async with RedisCache(address(server), 3 * SIZE, 60, KEYS) as cache:
        for key in (b"1", b"2", b"2", b"3", b"4"):
            await cache.put(key, ANSWER)
        await cache.put(b"5", replace(ANSWER, digest="e" * 1000 * SIZE))

        assert await found(cache, b"1", b"2", b"3", b"4", b"5") == [False, True, True, True, False]
        assert int(server.send("GET", KEYS.cache[2])) == 3 * SIZE


async def test_a_redis_that_is_away_is_no_failure(server: RedisServer) -> None:
    """Nothing is found, nothing is kept, and nobody is told."""
    async with RedisCache(address(server), 10**6, 60, KEYS) as cache:
        await cache.put(b"1", ANSWER)
        server.kill()
        await cache.put(b"2", ANSWER)
        assert await found(cache, b"1", b"2") == [False, False]
