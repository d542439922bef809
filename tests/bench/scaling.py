"""More and more workers whose engines sleep, over one Redis; part of `tests.bench.distributed`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import psutil
import uvloop

from service.core.admission import QueueLimits
from service.core.messages import Options, Request
from service.queues.redis_submissions import RedisSubmissions
from service.queues.redis_url import parse
from tests.bench.many_workers import KEYS, PER_WORKER, workers
from tests.bench.usage import cpu_s, of_redis
from tests.contract.benches import MODEL
from tests.servers import RedisServer

SIZES = (1_000, 50_000)
#: Until this machine's cores are the limit.
COUNTS = (1, 4, 16, 32, 64, 128, 256)

Row = dict[str, float]


def carried(redis: RedisServer, size: int, count: int, seconds: float) -> Row:
    """What `count` workers carry in pictures of `size` bytes, and the cores that each of the three processes uses."""
    with workers(redis.url, count) as process:
        return uvloop.run(_carry(redis, process, size, count, seconds))


async def _carry(redis: RedisServer, working: psutil.Process, size: int, count: int, seconds: float) -> Row:
    """What the workers finish while each has twice as much in flight as its lane takes at once."""
    image, done = bytes(size), 0
    processes = {"redis_cpu": of_redis(redis), "front_end_cpu": psutil.Process(), "workers_cpu": working}

    def used() -> Row:
        return {name: cpu_s(process) for name, process in processes.items()}

    async with RedisSubmissions(parse(redis.url, KEYS.tag), QueueLimits(), lambda _: None, keys=KEYS) as front_end:
        ending = time.monotonic() + seconds + 0.5

        async def caller() -> None:
            nonlocal done
            while time.monotonic() < ending:
                await front_end.submit(Request("r", MODEL, image, Options()))
                done += 1

        callers = [asyncio.create_task(caller()) for _ in range(count * 8)]
        await asyncio.sleep(0.5)  # until all lanes are busy
        before, cpu, started = done, used(), time.monotonic()
        await asyncio.sleep(seconds)
        finished, took_s = done - before, time.monotonic() - started
        cores = {name: (now - cpu[name]) / took_s for name, now in used().items()}
        await asyncio.gather(*callers)
    rate = finished / took_s
    ideal = count * PER_WORKER
    return {"bytes": size, "workers": count, "per_second": rate, "of_ideal": rate / ideal, **cores}


def plot(rows: Sequence[Row], path: Path) -> None:
    """The scaling curve beside the ideal."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - the backend is chosen first

    figure, panel = plt.subplots(figsize=(6, 4), layout="constrained")
    counts = sorted({row["workers"] for row in rows})
    panel.plot(counts, [count * PER_WORKER for count in counts], "--", color="#999999", label="ideal")
    for size, colour in zip(SIZES, ("#0072b2", "#d55e00"), strict=True):
        of = [row for row in rows if row["bytes"] == size]
        label = f"{size:,} bytes"
        panel.plot([row["workers"] for row in of], [row["per_second"] for row in of], "o-", color=colour, label=label)
    panel.set_title("Workers whose engines sleep, one Redis", fontsize=10, loc="left")
    panel.set_xlabel("workers")
    panel.set_ylabel("pictures per second")
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def markdown(rows: Sequence[Row]) -> list[str]:
    """The table of docs/bench-distributed.md."""
    lines = [
        f"## Scaling: workers whose engines sleep, {PER_WORKER:.0f} pictures/s each",
        "",
        "All workers share one process, hence one core, as the front-end has one and Redis has one.",
        "",
        "| bytes | workers | pictures/s | of ideal | cores of Redis | of the front-end | of all workers |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        rates = f"{row['per_second']:,.0f} | {row['of_ideal']:.2f}"
        cores = f"{row['redis_cpu']:.2f} | {row['front_end_cpu']:.2f} | {row['workers_cpu']:.2f}"
        lines.append(f"| {row['bytes']:,} | {row['workers']} | {rates} | {cores} |")
    return lines
