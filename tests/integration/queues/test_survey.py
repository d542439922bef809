"""What is told of a queue to those who look after it."""

from __future__ import annotations

import asyncio
import time

from service.queues.redis_inspector import RedisInspector
from service.queues.redis_work import RedisWork
from tests.contract.benches import MODEL, answer, everything
from tests.engines import FakeEngine, tuned
from tests.integration.queues.parts import KEYS, address, ask, asking, ids
from tests.servers import RedisServer


async def test_lanes_are_counted_and_not_the_hands_that_serve_them(server: RedisServer) -> None:
    """Where two hands share a lane, a batch keeps it for half of the time that its hand has had the batch."""
    engine = FakeEngine(tuning=tuned(lanes=2, provider="openvino"))
    async with (
        RedisWork(address(server), lambda _: None, keys=KEYS) as work,
        asking(server) as front_end,
        RedisInspector(address(server), keys=KEYS) as inspector,
    ):
        work.open(MODEL, engine)
        await work.announced(MODEL)
        asked = ask(front_end, ["a"])
        started = time.monotonic()
        leases = await work.lease(MODEL, everything)
        await asyncio.sleep(0.5)
        work.settle([(lease, answer(lease)) for lease in leases])
        took_ms = 1000 * (time.monotonic() - started)
        await ids(asked)
        (line,) = await inspector.survey()

    assert line.lanes == 2
    assert 250 <= line.ms_per_item <= took_ms / 2
