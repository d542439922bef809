"""What the hop over Redis costs: latency alone, and how many pictures one Redis carries.

Front-end, worker and Redis share this machine, each in a process of its own; the worker answers without computing.
Run: `python -m tests.bench.redis_hop`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

import uvloop

from service.core.admission import QueueLimits
from service.core.messages import Lease, Options, Outcome, Request
from service.queues.keys import Keys
from service.queues.redis_submissions import RedisSubmissions
from service.queues.redis_url import parse
from service.queues.redis_work import RedisWork
from tests.bench.usage import cpu_s, of_redis
from tests.contract.benches import MODEL, answer
from tests.engines import FakeEngine, tuned
from tests.servers import KINDS, RedisServer, binary

KEYS = Keys("bench")
SIZES = (1_000, 50_000)
CALLS, SECONDS, CONCURRENCY = 400, 4.0, 128


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    kind: str
    size: int
    p50_ms: float
    p99_ms: float
    per_second: float
    redis_cpu_ms: float  #: of the server, per picture


async def _serve(url: str, stop: Event) -> None:
    async with RedisWork(parse(url, KEYS.tag), lambda _: None, keys=KEYS) as work:
        work.open(MODEL, FakeEngine(tuning=tuned(lanes=2, batch=32)))
        lanes = [asyncio.create_task(_lane(work)) for _ in range(2)]
        await asyncio.to_thread(stop.wait)
        work.close(MODEL)
        await asyncio.gather(*lanes)


async def _lane(work: RedisWork) -> None:
    while leases := await work.lease(MODEL, lambda waiting: min(waiting, 32)):
        outcomes: list[tuple[Lease, Outcome]] = [(lease, answer(lease)) for lease in leases]
        work.settle(outcomes)


def _worker(url: str, stop: Event) -> None:
    uvloop.run(_serve(url, stop))


async def _measure(server: RedisServer, size: int) -> Row:
    image = bytes(size)
    async with RedisSubmissions(parse(server.url, KEYS.tag), QueueLimits(), lambda _: None, keys=KEYS) as front_end:
        await _announced(server)

        async def ask() -> float:
            started = time.perf_counter()
            await front_end.submit(Request("r", MODEL, image, Options()))
            return (time.perf_counter() - started) * 1000

        for _ in range(50):
            await ask()
        alone = sorted([await ask() for _ in range(CALLS)])
        done, used_s, until = 0, cpu_s(of_redis(server)), time.monotonic() + SECONDS

        async def load() -> None:
            nonlocal done
            while time.monotonic() < until:
                await ask()
                done += 1

        await asyncio.gather(*(load() for _ in range(CONCURRENCY)))
        cpu_ms = (cpu_s(of_redis(server)) - used_s) * 1000 / done
    return Row(server.kind, size, statistics.median(alone), alone[int(CALLS * 0.99)], done / SECONDS, cpu_ms)


async def _announced(server: RedisServer) -> None:
    with server.client() as client:
        while not client.zcard(KEYS.of(MODEL).workers):
            await asyncio.sleep(0.05)


def rows() -> list[Row]:
    """Measure every server that is installed."""
    found = []
    for kind in (kind for kind in KINDS if binary(kind)):
        with tempfile.TemporaryDirectory() as folder:
            server = RedisServer(kind, Path(folder))
            context = multiprocessing.get_context("spawn")
            stop = context.Event()
            server.start()
            worker = context.Process(target=_worker, args=(server.url, stop))
            worker.start()
            try:
                found += [uvloop.run(_measure(server, size)) for size in SIZES]
            finally:
                stop.set()
                worker.join()
                server.stop()
    return found


def main() -> None:
    """Print the table."""
    print("| server | bytes | p50 ms | p99 ms | pictures/s | ms of Redis per picture |")
    print("|---|---|---|---|---|---|")
    for row in rows():
        latency = f"{row.p50_ms:.2f} | {row.p99_ms:.2f}"
        print(f"| {row.kind} | {row.size} | {latency} | {row.per_second:.0f} | {row.redis_cpu_ms:.3f} |")


if __name__ == "__main__":
    main()
