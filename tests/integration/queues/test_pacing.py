from __future__ import annotations

import asyncio
import time

import pytest

from service.core.access import Allowance, Caller
from service.core.errors import NotReady, Overloaded, Reason
from service.queues.redis_pacing import RedisPacing
from service.security.pacing import charge
from tests.integration.queues.parts import KEYS, address
from tests.servers import RedisServer


def caller(**limits: float) -> Caller:
    return Caller("shop", frozenset(), Allowance(**limits))


async def test_a_rate_holds_over_all_front_ends(server: RedisServer) -> None:
    """Of four calls per second two front-ends let four through between them at once, and say when one more may come."""
    shop, entered, started = caller(requests_per_s=4), 0, time.monotonic()
    async with RedisPacing(address(server), KEYS) as one, RedisPacing(address(server), KEYS) as two:
        while (refused := await _refusal((one, two)[entered % 2], shop)) is None:
            entered += 1

    assert 4 <= entered <= 4 + 4 * (time.monotonic() - started)
    assert refused.reason is Reason.CALLER_RATE
    assert 0 < refused.retry_after_s <= 0.25


async def _refusal(pacing: RedisPacing, shop: Caller) -> Overloaded | None:
    try:
        await pacing.enter(shop, 0)
    except Overloaded as refused:
        return refused
    return None


async def test_bytes_have_a_rate_of_their_own(server: RedisServer) -> None:
    """What was refused was not counted as a request either."""
    shop = caller(requests_per_s=2, bytes_per_s=1000)
    async with RedisPacing(address(server), KEYS) as pacing:
        await pacing.enter(shop, 1000)
        with pytest.raises(Overloaded) as caught:
            await pacing.enter(shop, 1000)
        assert caught.value.reason is Reason.CALLER_BYTES
        await pacing.enter(shop, 0)


async def test_open_calls_are_counted_over_all_front_ends(server: RedisServer) -> None:
    """Until they end; what ends on one makes room on the other."""
    shop = caller(concurrent=2)
    async with RedisPacing(address(server), KEYS) as one, RedisPacing(address(server), KEYS) as two:
        await one.enter(shop, 0)
        await two.enter(shop, 0)
        with pytest.raises(Overloaded) as caught:
            await two.enter(shop, 0)
        assert caught.value.reason is Reason.CALLER_CONCURRENCY
        await one.leave(shop)
        while True:  # the other one hears of it when Redis has
            try:
                await two.enter(shop, 0)
            except Overloaded:
                await asyncio.sleep(0)
            else:
                break


async def test_a_stream_waits_for_its_room(server: RedisServer) -> None:
    """Six messages at four per second: the first four at once, then one each quarter of a second."""
    shop = caller(requests_per_s=4)
    async with RedisPacing(address(server), KEYS) as pacing:
        started = time.monotonic()
        for _ in range(6):
            await charge(pacing, shop, 10)

    assert time.monotonic() - started >= 0.45


async def test_who_has_no_limit_costs_nothing(server: RedisServer) -> None:
    """Redis is not even asked: it may be away."""
    async with RedisPacing(address(server), KEYS) as pacing:
        server.kill()
        await pacing.enter(caller(), 10**9)
        await pacing.leave(caller())


async def test_with_redis_away_a_limited_caller_waits(server: RedisServer) -> None:
    """Nothing would be queued either; the error says why."""
    async with RedisPacing(address(server), KEYS) as pacing:
        server.kill()
        with pytest.raises(NotReady, match=r"^redis: "):
            await pacing.enter(caller(requests_per_s=1), 0)
