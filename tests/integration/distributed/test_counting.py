"""Over Redis, too, nobody computes what nobody waits for: counted by the engine itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.core.admission import QueueLimits
from service.core.errors import TooLate
from service.core.events import Dropped, Event
from service.core.image import Limits
from service.core.messages import NEVER, ModelKey, Request
from service.lane import Lane
from service.queues.keys import Keys
from service.queues.redis_submissions import RedisSubmissions
from service.queues.redis_url import parse
from service.queues.redis_work import RedisWork
from service.worker import Worker
from tests.engines import FakeEngine, tuned
from tests.integration.distributed.deployment import Deployment

KEYS = Keys("counting")
TINY = ModelKey("tiny", 1)


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    """Of 2 x 2 pixels."""
    Image.fromarray(np.full((2, 2), 200, np.uint8)).save(tmp_path / "tiny.png")
    return (tmp_path / "tiny.png").read_bytes()


@asynccontextmanager
async def serving(deployment: Deployment, engine: FakeEngine, events: list[Event]) -> AsyncIterator[RedisSubmissions]:
    """A front-end and a worker with one lane, as `service.bootstrap` builds them, around an engine that counts."""
    server = parse(deployment.redis.url, KEYS.tag)
    async with (
        RedisWork(server, events.append, keys=KEYS) as work,
        RedisSubmissions(server, QueueLimits(), events.append, keys=KEYS) as queue,
    ):
        worker = Worker(
            TINY, engine, work, Lane(TINY, engine, Limits(10_000, 10_000, 100), events.append), events.append
        )
        worker.start()
        await work.announced(TINY)
        yield queue
        engine.release()
        await worker.drain()


async def held(engine: FakeEngine, queue: RedisSubmissions, picture: bytes) -> asyncio.Task[object]:
    """Occupy the only lane, until the engine is released."""
    engine.hold()
    task: asyncio.Task[object] = asyncio.create_task(queue.submit(Request("first", TINY, picture)))
    await asyncio.to_thread(engine.started.acquire)
    return task


def queued(deployment: Deployment) -> int:
    with deployment.redis.client() as client:
        return int(client.xlen(f"{KEYS.tag}:q:{TINY}:n"))


@pytest.mark.parametrize("fate", ["expired", "cancelled"])
async def test_what_nobody_waits_for_is_not_computed(deployment: Deployment, picture: bytes, fate: str) -> None:
    """Twenty requests behind a busy lane lose their callers; the engine never sees one of them."""
    engine = FakeEngine(tuning=tuned(lanes=1, batch=4))
    events: list[Event] = []
    async with serving(deployment, engine, events) as queue:
        first = await held(engine, queue, picture)
        deadline = time.monotonic() + 3.0 if fate == "expired" else NEVER
        others = [
            asyncio.create_task(queue.submit(Request(f"{n}", TINY, picture, deadline=deadline))) for n in range(20)
        ]
        while queued(deployment) < 21:
            await asyncio.sleep(0.01)
        if fate == "cancelled":
            for task in others:
                task.cancel()
        outcomes = await asyncio.gather(*others, return_exceptions=True)
        while queued(deployment) > 1:
            await asyncio.sleep(0.01)
        engine.release()
        await first
        await queue.submit(Request("last", TINY, picture))

    expected = TooLate if fate == "expired" else asyncio.CancelledError
    assert {type(outcome) for outcome in outcomes} == {expected}
    assert engine.batches == [1, 1]
    dropped = [event for event in events if isinstance(event, Dropped)]
    assert {event.expired for event in dropped} == {fate == "expired"}
