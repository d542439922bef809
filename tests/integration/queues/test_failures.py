"""What happens to requests when Redis or the way to it breaks."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

import pytest
import redis

from service.core.errors import NotReady, Overloaded
from service.queues.redis_submissions import FrontEndTimes, RedisSubmissions
from tests.contract.benches import MODEL, request, until
from tests.integration.queues.parts import KEYS, ask, asking, computing, ids, residue, working
from tests.servers import RedisServer

pytestmark = pytest.mark.chaos

NAMES = [str(n) for n in range(300)]
BRISK = FrontEndTimes(beat_s=0.1, away_s=1.0)


def kill_connections(client: redis.Redis) -> None:
    """Break every connection but this one."""
    client.client_kill_filter(_type="normal", skipme=True)


def flush_scripts(client: redis.Redis) -> None:
    """Let Redis forget the Lua scripts."""
    client.script_flush()


def destroy_groups(client: redis.Redis) -> None:
    """Let Redis forget who leases what."""
    for stream in KEYS.of(MODEL).streams:
        client.xgroup_destroy(stream, "w")


def flush_all(client: redis.Redis) -> None:
    """Let Redis forget everything."""
    client.flushall()


async def served(front_end: RedisSubmissions, name: str) -> str:
    """Ask until Redis is back, and a worker with it."""
    async with asyncio.timeout(10):
        while True:
            try:
                return (await front_end.submit(request(name))).id
            except (NotReady, Overloaded):
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("breaks", [kill_connections, flush_scripts, destroy_groups, flush_all])
async def test_every_request_is_answered_although(server: RedisServer, breaks: Callable[[redis.Redis], None]) -> None:
    """Three times in the middle of the work Redis loses something; nobody notices."""
    async with working(server) as lanes, asking(server, BRISK) as front_end:
        tasks = ask(front_end, NAMES)
        for done in (50, 120, 200):
            await computing(done, tasks, lanes)
            with server.client() as client:
                breaks(client)

        assert await ids(tasks) == NAMES


@pytest.mark.parametrize("durable", [True, False])
async def test_a_restart_of_redis_loses_nothing(make_server: Callable[..., RedisServer], durable: bool) -> None:  # noqa: FBT001
    """Kill -9, a new start: all that was asked is answered. A Redis that comes back empty is told again."""
    server = make_server(durable=durable)
    async with working(server) as lanes, asking(server) as front_end:
        tasks = ask(front_end, NAMES)
        await computing(50, tasks, lanes)
        server.kill()
        await asyncio.to_thread(server.start)

        assert await ids(tasks) == NAMES


async def test_while_redis_is_away_callers_are_told_at_once(make_server: Callable[..., RedisServer]) -> None:
    """No hang; and when it is back, work goes on by itself."""
    server = make_server()
    async with working(server), asking(server, BRISK) as front_end:
        assert await ids(ask(front_end, ["before"])) == ["before"]
        server.kill()
        await until(lambda: front_end.away)

        started = time.monotonic()
        with pytest.raises(NotReady, match="redis is away"):
            await front_end.submit(request("meanwhile"))
        assert time.monotonic() - started < BRISK.away_s  # it takes no time at all

        await asyncio.to_thread(server.start)
        assert await served(front_end, "after") == "after"


async def test_requests_in_flight_do_not_wait_for_ever(make_server: Callable[..., RedisServer]) -> None:
    """A Redis that stays away is reported to those who wait."""
    server = make_server()
    async with working(server, computes_s=3), asking(server, BRISK) as front_end:
        tasks = ask(front_end, ["a"])
        await until(lambda: front_end.depth(MODEL).entries == 1)
        server.kill()

        with pytest.raises(NotReady, match="redis is away"):
            await ids(tasks)
        await asyncio.to_thread(server.start)


@pytest.mark.parametrize("for_s", [2.4, 3.0])
async def test_a_frozen_redis_makes_nobody_steal(server: RedisServer, for_s: float) -> None:
    """Seconds in which no beat could be heard, of some or of all: everything is answered, and was computed once."""
    async with working(server) as one, working(server) as other, asking(server) as front_end:
        tasks = ask(front_end, NAMES)
        await computing(50, tasks, one, other)
        server.signal(signal.SIGSTOP)
        await asyncio.sleep(for_s)
        server.signal(signal.SIGCONT)

        assert await ids(tasks) == NAMES
        assert max((one.computed + other.computed).values()) == 1


async def test_a_full_redis_sheds_and_drains(make_server: Callable[..., RedisServer]) -> None:
    """At maxmemory new requests are refused, while those that were admitted are answered and make room."""
    server = make_server(options=("--maxmemory", "12mb", "--maxmemory-policy", "noeviction"))
    async with asking(server, BRISK) as front_end, working(server, computes_s=0.1):
        tasks = ask(front_end, NAMES, size=100_000)
        await asyncio.wait(tasks, timeout=60)
        errors = [task.exception() for task in tasks if task.exception()]
        answered = [task for task in tasks if not task.exception()]

        assert len(errors) > 0
        assert {str(error) for error in errors} == {"redis: command not allowed when used memory > 'maxmemory'."}
        assert len(answered) > 20
        await until(lambda: front_end.depth(MODEL).entries == 0)
        assert await ids(ask(front_end, ["later"], size=100_000)) == ["later"]


async def test_nothing_is_computed_for_a_front_end_that_died(server: RedisServer) -> None:
    """What it asked for and nobody has begun is dropped once its last sign of life is too old."""
    silent = FrontEndTimes(beat_s=60, life_s=0.5)
    async with working(server, computes_s=1.5) as lanes, asking(server, silent) as front_end:
        tasks = ask(front_end, NAMES[:60])
        await computing(1, tasks, lanes)
        await until(lambda: residue(server) == {}, timeout_s=20)

        assert sum(lanes.computed.values()) <= 16  # a batch for each lane, and one ahead
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
