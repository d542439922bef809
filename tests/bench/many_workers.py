"""Many workers in one process, each with an engine that only sleeps: what is left is the cost of the queue.

Run by `tests.bench.distributed` in a process of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Event

import psutil
import uvloop

from service.core.messages import Lease, Outcome
from service.queues.keys import Keys
from service.queues.redis_url import parse
from service.queues.redis_work import RedisWork
from tests.contract.benches import MODEL, answer
from tests.engines import FakeEngine, tuned

KEYS = Keys("bench")
#: One lane, which sleeps 40 ms for each picture: 25 pictures per second and worker, however many share a core.
BATCH, PICTURE_S = 4, 0.04
PER_WORKER = 1 / PICTURE_S


@contextmanager
def workers(url: str, count: int) -> Iterator[psutil.Process]:
    """`count` workers that are announced, and their process."""
    context = get_context("spawn")
    announced, stop = context.Event(), context.Event()
    process = context.Process(target=_run, args=(url, count, announced, stop))
    process.start()
    try:
        assert announced.wait(60)
        yield psutil.Process(process.pid)
    finally:
        stop.set()
        process.join()


def _run(url: str, count: int, announced: Event, stop: Event) -> None:
    uvloop.run(_work(url, count, announced, stop))


async def _work(url: str, count: int, announced: Event, stop: Event) -> None:
    async with AsyncExitStack() as stack:
        server, engine = parse(url, KEYS.tag), FakeEngine(tuning=tuned(lanes=1, batch=BATCH))
        works = [
            await stack.enter_async_context(RedisWork(server, lambda _: None, worker=f"w{n}", keys=KEYS))
            for n in range(count)
        ]
        for work in works:
            work.open(MODEL, engine)
        lanes = [asyncio.create_task(_lane(work)) for work in works]
        await asyncio.gather(*(work.announced(MODEL) for work in works))
        announced.set()
        await asyncio.to_thread(stop.wait)
        for work in works:
            work.close(MODEL)
        await asyncio.gather(*lanes)


async def _lane(work: RedisWork) -> None:
    while leases := await work.lease(MODEL, lambda waiting: min(waiting, BATCH)):
        await asyncio.sleep(PICTURE_S * len(leases))
        outcomes: list[tuple[Lease, Outcome]] = [(lease, answer(lease)) for lease in leases]
        work.settle(outcomes)
