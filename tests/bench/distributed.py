"""`python -m tests.bench.distributed`: front-end, Redis and workers beside the one process; part of `make bench`.

Writes docs/bench-distributed.{json,md,png}. What is compared is measured in interleaved rounds; medians are quoted.
`--quick` is for trying it out.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import typer
import uvloop
from rich.console import Console

from service.client import AsyncClient
from service.core.admission import QueueLimits
from service.core.messages import Options, Request
from service.queues.redis_submissions import RedisSubmissions
from service.queues.redis_url import parse
from tests.bench import pictures, redis_hop, report
from tests.bench.load import Load, Run
from tests.bench.many_workers import KEYS, PER_WORKER, workers
from tests.bench.serving import drive, serve, work
from tests.contract.benches import MODEL
from tests.guide import png
from tests.integration.distributed.deployment import Deployment
from tests.servers import RedisServer

PHOTOS = Path("runs/models")
SIZES = (1_000, 50_000)
COUNTS = (1, 2, 4, 8, 16, 32)
#: Enough to measure every setting even on a busy machine: then it is remembered, and both sides run the same one.
COMPLETE = {"tuning_budget_s": "60"}

console = Console()


@dataclass(frozen=True, slots=True)
class Effort:
    """How long each slice lasts in seconds, and how many rounds there are."""

    seconds: float = 3.0
    rounds: int = 3
    counts: tuple[int, ...] = COUNTS


@contextmanager
def private_redis() -> Iterator[RedisServer]:
    """The system's Redis, on a unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer("redis", Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def w1(effort: Effort) -> dict[str, Any]:
    """One JPEG of 500x375 for each unary call, EfficientNet-Lite0: one process, and front-end with worker."""
    with (
        tempfile.TemporaryDirectory() as folder,
        private_redis() as redis,
        serve(PHOTOS, **COMPLETE) as one,
        work(PHOTOS, redis.url, model="efficientnet-lite0", **COMPLETE),
        serve(PHOTOS, redis=redis.url, introspection="false") as front_end,
    ):
        picture = pictures.photograph(Path(folder))
        load_ = Load(one.grpc, "efficientnet-lite0", str(picture), 1, effort.seconds)
        runs: dict[str, list[Run]] = {}
        for _ in range(effort.rounds):
            for concurrency in (1, 8, 32):
                for name, server in (("one process", one), ("front-end + worker", front_end)):
                    run = drive(replace(load_, server=server.grpc, concurrency=concurrency))
                    runs.setdefault(f"{name}, {concurrency} open", []).append(run)
                    console.print(f"W1, {name}, {concurrency} open: {run}")
    return {name: asdict(_median(of)) for name, of in runs.items()}


def _median(runs: list[Run]) -> Run:
    middle = {
        field: statistics.median(getattr(run, field) for run in runs) for field in ("per_second", "p50_ms", "p99_ms")
    }
    return Run(**middle, failed=sum(run.failed for run in runs))


def scaling(effort: Effort) -> list[dict[str, float]]:
    """Pictures per second of more and more workers whose engines sleep, for small and for usual pictures."""
    rows = []
    with private_redis() as redis:
        for size in SIZES:
            for count in effort.counts:
                with workers(redis.url, count):
                    row = uvloop.run(_carried(redis, size, count, effort.seconds))
                console.print(f"scaling: {row}")
                rows.append(row)
    return rows


async def _carried(redis: RedisServer, size: int, count: int, seconds: float) -> dict[str, float]:
    """What `count` workers finish while each has twice as much in flight as its lane takes at once."""
    image, done = bytes(size), 0
    async with RedisSubmissions(parse(redis.url, KEYS.tag), QueueLimits(), lambda _: None, keys=KEYS) as front_end:
        ending = time.monotonic() + seconds + 0.5

        async def caller() -> None:
            nonlocal done
            while time.monotonic() < ending:
                await front_end.submit(Request("r", MODEL, image, Options()))
                done += 1

        callers = [asyncio.create_task(caller()) for _ in range(count * 8)]
        await asyncio.sleep(0.5)  # until all lanes are busy
        before, cpu_s, started = done, _cpu_s(redis), time.monotonic()
        await asyncio.sleep(seconds)
        finished, took_s, cpu_s = done - before, time.monotonic() - started, _cpu_s(redis) - cpu_s
        await asyncio.gather(*callers)
    return {
        "bytes": size,
        "workers": count,
        "per_second": finished / took_s,
        "of_ideal": finished / took_s / (count * PER_WORKER),
        "redis_cpu": cpu_s / took_s,
    }


def _cpu_s(server: RedisServer) -> float:
    with server.client() as client:
        usage: dict[str, float] = client.info("cpu")
    return usage["used_cpu_sys"] + usage["used_cpu_user"]


def recovery(effort: Effort) -> dict[str, list[float]]:
    """Seconds from SIGKILL of the child that holds requests until they are answered: by another worker, by itself."""
    found: dict[str, list[float]] = {"another worker takes over": [], "a lone worker starts again": []}
    for name, seen in found.items():
        for _ in range(effort.rounds):
            with tempfile.TemporaryDirectory() as folder, private_redis() as redis:
                deployment = Deployment(Path(folder), redis)
                try:
                    seen.append(asyncio.run(_recovered(deployment, alone=name.startswith("a lone"))))
                finally:
                    deployment.end()
            console.print(f"recovery: {name}: {seen[-1]:.3f} s")
    return found


async def _recovered(deployment: Deployment, *, alone: bool) -> float:
    victim, front_end = deployment.worker(), deployment.front_end()
    deployment.ready(victim, front_end)
    victim.hold.touch()
    async with AsyncClient(front_end.address("gRPC")) as client:
        asked = [asyncio.create_task(client.classify(png(bytes(9)), model="guide")) for _ in range(8)]
        await asyncio.to_thread(deployment.busy, 8)
        if alone:
            victim.hold.unlink()
        else:
            await asyncio.to_thread(deployment.ready, deployment.worker())
        child = victim.child()
        assert child
        child.kill()
        killed = time.perf_counter()
        await asyncio.gather(*asked)
        return time.perf_counter() - killed


def markdown(results: dict[str, Any]) -> str:
    """The tables of docs/bench-distributed.md."""
    machine = results["host"]
    lines = [
        "# Bench: front-ends and workers over Redis",
        "",
        "Measured by `make bench`; Redis, front-end, worker and client share this machine's cores.",
        "",
        f"{machine['date']}: {machine['cores']} cores of {machine['cpu']}. Python {machine['python']}.",
        "",
        f"## {report.TITLES['W1']}",
        "",
        "| | pictures/s | of one process | p50, ms | p99, ms | failed |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, run in results["W1"].items():
        one = results["W1"][f"one process, {name.partition(', ')[2]}"]["per_second"]
        rates = f"{run['per_second']:,.0f} | {run['per_second'] / one:.2f}"
        lines.append(f"| {name} | {rates} | {run['p50_ms']:.2f} | {run['p99_ms']:.2f} | {run['failed']} |")
    lines += [
        "",
        "## The hop",
        "",
        "One picture at a time, and 128 at once; the worker answers without computing.",
        "",
        "| server | bytes | p50, ms | p99, ms | pictures/s | ms of Redis per picture | one Redis at most, pictures/s |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in results["hop"]:
        latency = f"{row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {row['per_second']:,.0f}"
        most = 1000 / row["redis_cpu_ms"]
        lines.append(f"| {row['kind']} | {row['size']:,} | {latency} | {row['redis_cpu_ms']:.3f} | {most:,.0f} |")
    lines += [
        "",
        f"## Scaling: workers whose engines sleep, {PER_WORKER:.0f} pictures/s each",
        "",
        "| bytes | workers | pictures/s | of ideal | cores of Redis |",
        "|--:|--:|--:|--:|--:|",
    ]
    for row in results["scaling"]:
        rates = f"{row['per_second']:,.0f} | {row['of_ideal']:.2f} | {row['redis_cpu']:.2f}"
        lines.append(f"| {row['bytes']:,} | {row['workers']} | {rates} |")
    lines += ["", "## Recovery from SIGKILL of a worker's child that holds requests", ""]
    lines += [
        f"- {name}: {statistics.median(seen):.2f} s (worst of {len(seen)}: {max(seen):.2f} s)"
        for name, seen in results["recovery"].items()
    ]
    return "\n".join(lines) + "\n"


def plot(rows: list[dict[str, float]], path: Path) -> None:
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
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(*, quick: Annotated[bool, typer.Option("--quick")] = False, out: Path = Path("docs")) -> None:
    """Measure everything and write the report."""
    effort = Effort(seconds=1.0, rounds=1, counts=(1, 32)) if quick else Effort()
    pictures.publish_photos(PHOTOS)
    parts: dict[str, Callable[[], Any]] = {
        "host": report.host,
        "W1": lambda: w1(effort),
        "hop": lambda: [asdict(row) for row in redis_hop.rows()],
        "scaling": lambda: scaling(effort),
        "recovery": lambda: recovery(effort),
    }
    results = {name: measure() for name, measure in parts.items()}
    (out / "bench-distributed.json").write_text(json.dumps(results, indent=2) + "\n")
    (out / "bench-distributed.md").write_text(markdown(results))
    plot(results["scaling"], out / "bench-distributed.png")
    console.print(markdown(results))


if __name__ == "__main__":
    typer.run(main)
