"""What a front-end without an engine knows of the workers' models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from service.core.errors import NoSuchModel, NotReady, Refused
from service.core.events import Event, ModelChanged
from service.core.messages import ModelKey
from service.queues.leases import WorkerTimes
from service.queues.redis_catalog import RedisCatalog
from service.queues.redis_release import release
from service.queues.redis_work import RedisWork
from tests.engines import TINY, FakeEngine, tuned
from tests.integration.queues.parts import KEYS, address
from tests.servers import RedisServer

ONE, TWO = ModelKey("tiny", 1), ModelKey("tiny", 2)
BRISK = WorkerTimes(beat_s=0.1, tick_s=0.05)


def _ignore(_: Event) -> None:
    pass


async def test_announced_versions_can_be_resolved(server: RedisServer) -> None:
    """Spec, digest and tuning come from the worker; 0 is the newest version that is served."""
    async with RedisWork(address(server), lambda _: None, keys=KEYS, times=BRISK) as work:
        for key, digest in ((ONE, "1" * 64), (TWO, "2" * 64)):
            work.open(key, FakeEngine(digest=digest, tuning=tuned(lanes=3, batch=8)))
            await work.announced(key)
        async with RedisCatalog(address(server), _ignore, keys=KEYS) as catalog:
            await catalog.follow()
            assert catalog.resolve("tiny", 0) == TWO
            assert catalog.resolve("tiny", 1) == ONE
            status = catalog.get("tiny", 1)
            assert (status.state, status.digest, status.spec) == ("ready", "1" * 64, TINY)
            assert (status.tuning, status.latest) == (tuned(lanes=3, batch=8), False)
            assert [status.key for status in catalog.list()] == [ONE, TWO]
            assert catalog.ready() == (True, "")

            work.close(TWO)
            while catalog.get("tiny", 2).state != "available":
                await catalog.follow()
            assert catalog.get("tiny", 2).reason == "no worker serves it just now"
            assert catalog.resolve("tiny", 0) == ONE
            assert catalog.resolve("tiny", 2) == TWO  # submitting is what tells that nobody serves it


async def test_the_last_worker_of_a_version_is_missed_at_once(server: RedisServer) -> None:
    """Not when its last beat expires: until then callers of the latest version would be turned away."""
    async with (
        RedisWork(address(server), _ignore, keys=KEYS) as work,
        RedisCatalog(address(server), _ignore, keys=KEYS) as catalog,
    ):
        for key in (ONE, TWO):
            work.open(key, FakeEngine())
            await work.announced(key)
        await catalog.follow()
        assert catalog.resolve("tiny", 0) == TWO

        await release(address(server), work.worker, KEYS)
        await catalog.follow()
        assert {status.state for status in catalog.list()} == {"available"}


async def test_what_nobody_announced_does_not_exist(server: RedisServer) -> None:
    """The message says what there is."""
    async with RedisCatalog(address(server), _ignore, keys=KEYS) as catalog:
        await catalog.follow()
        assert catalog.ready() == (False, "no worker serves a model")
        with pytest.raises(NoSuchModel, match=r"no worker has announced tiny:\*; there are none"):
            catalog.resolve("tiny", 0)


async def test_a_front_end_loads_nothing(server: RedisServer) -> None:
    """That is the workers' affair."""
    async with RedisCatalog(address(server), _ignore, keys=KEYS) as catalog:
        await catalog.follow()
        with pytest.raises(Refused, match="loaded by workers"):
            await catalog.load("tiny", 0)
        with pytest.raises(Refused, match="unloaded by workers"):
            await catalog.unload("tiny", 1)


async def test_an_announcement_that_cannot_be_read_is_shown(server: RedisServer) -> None:
    """It takes nothing else down; the reason says what is wrong."""
    async with RedisWork(address(server), lambda _: None, keys=KEYS, times=BRISK) as work:
        work.open(ONE, FakeEngine())
        await work.announced(ONE)
        with server.client() as client:
            client.set(KEYS.of(ONE).about, b"{}", ex=60)
        async with RedisCatalog(address(server), _ignore, keys=KEYS) as catalog:
            await catalog.follow()
            assert catalog.get("tiny", 1).state == "failed"
            assert catalog.get("tiny", 1).reason.startswith("announcement: JSON of a spec")


async def test_a_redis_that_forgets_makes_no_model_unknown(server: RedisServer) -> None:
    """Callers are told that it cannot be served just now, until its workers have said again that they live."""
    async with RedisWork(address(server), lambda _: None, keys=KEYS) as work:
        work.open(ONE, FakeEngine())
        await work.announced(ONE)
        async with RedisCatalog(address(server), _ignore, keys=KEYS) as catalog:
            await catalog.follow()
            server.send("FLUSHALL")
            await catalog.follow()
            assert (catalog.resolve("tiny", 1), catalog.get("tiny", 1).state) == (ONE, "available")

            async with asyncio.timeout(10):
                while catalog.get("tiny", 1).state != "ready":
                    await catalog.follow()


async def test_without_redis_nothing_is_ready(make_server: Callable[..., RedisServer]) -> None:
    """The reason is told to probes and callers; what is known stays known when Redis goes away later."""
    server = make_server()
    server.kill()
    async with RedisCatalog(address(server), _ignore, keys=KEYS) as catalog:
        await catalog.follow()
        answers, reason = catalog.ready()
        assert not answers
        assert reason.startswith("redis is away")
        with pytest.raises(NotReady, match="redis is away"):
            catalog.resolve("tiny", 0)


async def test_changes_are_told_once(server: RedisServer) -> None:
    """Metrics and logs of a front-end learn when a version gets its first worker and loses its last one."""
    told: list[Event] = []
    async with (
        RedisCatalog(address(server), told.append, keys=KEYS) as catalog,
        RedisWork(address(server), _ignore, keys=KEYS, times=BRISK) as work,
    ):
        work.open(ONE, FakeEngine())
        await work.announced(ONE)
        await catalog.follow()
        await catalog.follow()
        assert told == [ModelChanged(ONE, "ready", provider="cpu fp32")]

        work.close(ONE)
        while len(told) < 2:
            await catalog.follow()
        assert told[1:] == [ModelChanged(ONE, "available", reason="no worker serves it just now", provider="cpu fp32")]
