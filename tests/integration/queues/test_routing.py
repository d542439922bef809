"""Routings that all front-ends of one Redis share."""

from __future__ import annotations

import pytest
import structlog

from service.core.errors import NotReady, Refused
from service.core.routing import Record, Routing, to_json
from service.queues.redis_routing import RedisRouting
from tests.integration.queues.parts import KEYS, address
from tests.servers import RedisServer

FIRST = Record().then(Routing({"stable": 1}))
SECOND = FIRST.then(Routing({"stable": 2, "canary": 3}, {"stable": 90.0, "canary": 10.0}))


async def test_a_routing_is_every_front_ends(server: RedisServer) -> None:
    """What one sets the other one reads; whoever did not know of it cannot replace it."""
    async with RedisRouting(address(server), KEYS) as one, RedisRouting(address(server), KEYS) as two:
        assert await one.load() == {}
        await one.save("digits", Record(), FIRST)
        assert await two.load() == {"digits": FIRST}
        await two.save("digits", FIRST, SECOND)
        with pytest.raises(Refused, match="'digits' was changed by somebody else meanwhile"):
            await one.save("digits", FIRST, FIRST.back())

        assert await one.load() == {"digits": SECOND}


async def test_what_is_no_routing_changes_nothing(server: RedisServer) -> None:
    """Somebody else wrote it there: the others are read, the one before stays in force, and it is said once."""
    async with RedisRouting(address(server), KEYS) as routing:
        await routing.save("digits", Record(), FIRST)
        with server.client() as outside, structlog.testing.capture_logs() as said:
            outside.hset(KEYS.routes, mapping={"digits": b"{", b"\xff": b"", "fashion": to_json(SECOND)})
            for _ in range(3):
                assert await routing.load() == {"digits": FIRST, "fashion": SECOND}

    assert [line["event"] for line in said] == ["a routing in Redis cannot be read"] * 2


async def test_a_routing_stays_in_force_while_redis_is_away(server: RedisServer) -> None:
    """And when it comes back empty, until somebody sets another one; nothing can be changed in between."""
    async with RedisRouting(address(server), KEYS) as routing:
        await routing.save("digits", Record(), FIRST)
        server.kill()
        assert await routing.load() == {"digits": FIRST}
        with pytest.raises(NotReady):
            await routing.save("digits", FIRST, SECOND)
        server.start()
        await routing._link.up()
        assert await routing.load() == {"digits": FIRST}
        await routing.save("digits", FIRST, SECOND)

        assert await routing.load() == {"digits": SECOND}
