"""`python -m tests.bench.distributed`: front-end, Redis and workers beside the one process; part of `make bench`.

Writes docs/bench-distributed.{json,md,png} and docs/capacity.md. What is compared is measured in interleaved rounds;
medians are quoted. `--quick` is for trying it out.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from service.client import AsyncClient
from tests.bench import capacity, cost, pictures, redis_hop, report, scaling
from tests.bench.load import Load, Run, median
from tests.bench.serving import drive, serve, work
from tests.guide import png
from tests.integration.distributed.deployment import Deployment
from tests.servers import RedisServer

PHOTOS = Path("runs/models")
ZOO = Path("model/zoo")
#: Enough to measure every setting even on a busy machine: then it is remembered, and both sides run the same one.
COMPLETE = {"tuning_budget_s": "60"}

console = Console()


@dataclass(frozen=True, slots=True)
class Effort:
    """How long each slice lasts in seconds, and how many rounds there are."""

    seconds: float = 3.0
    rounds: int = 3
    counts: tuple[int, ...] = scaling.COUNTS


@contextmanager
def private_redis(*, durable: bool = False) -> Iterator[RedisServer]:
    """The system's Redis, on a unix socket; where durable, as docker-compose.yml has it."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("--auto-aof-rewrite-min-size", "1gb") if durable else ()
        server = RedisServer("redis", Path(folder), durable=durable, options=options)
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
    return {name: asdict(median(of)) for name, of in runs.items()}


def scaling_rows(effort: Effort) -> list[scaling.Row]:
    """For small and for usual pictures."""
    rows = []
    with private_redis() as redis:
        for size, count in itertools.product(scaling.SIZES, effort.counts):
            rows.append(scaling.carried(redis, size, count, effort.seconds))
            console.print(f"scaling: {rows[-1]}")
    return rows


def cost_rows(effort: Effort) -> list[dict[str, Any]]:
    """Of `digits` and of EfficientNet-Lite0, over a Redis with and without an append-only file."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        digit, photograph = pictures.digit(Path(folder), ZOO), pictures.photograph(Path(folder))
        cases = ((ZOO, "digits", digit), (PHOTOS, "efficientnet-lite0", photograph))
        for (models, model, picture), durable in itertools.product(cases, (True, False)):
            with private_redis(durable=durable) as redis:
                found += cost.costs(redis, models, model, picture, effort.seconds, **COMPLETE)
    for each in found:
        console.print(f"cost: {each}")
    return [asdict(each) for each in found]


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
        report.on(machine),
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
    lines += ["", *scaling.markdown(results["scaling"])]
    lines += ["", "## Recovery from SIGKILL of a worker's child that holds requests", ""]
    lines += [
        f"- {name}: {statistics.median(seen):.2f} s (worst of {len(seen)}: {max(seen):.2f} s)"
        for name, seen in results["recovery"].items()
    ]
    return "\n".join(lines) + "\n"


def main(
    *,
    quick: Annotated[bool, typer.Option("--quick")] = False,
    only: report.Only = None,
    out: Path = Path("docs"),
) -> None:
    """Measure everything and write the report."""
    effort = Effort(seconds=1.0, rounds=1, counts=(32, 256)) if quick else Effort()
    pictures.publish_photos(PHOTOS)
    parts: dict[str, Callable[[], Any]] = {
        "host": report.host,
        "W1": lambda: w1(effort),
        "hop": lambda: [asdict(row) for row in redis_hop.rows()],
        "cost": lambda: cost_rows(effort),
        "scaling": lambda: scaling_rows(effort),
        "recovery": lambda: recovery(effort),
    }
    results = report.measured(parts, out / "bench-distributed.json", only)
    if results is None:
        return
    (out / "bench-distributed.md").write_text(markdown(results))
    scaling.plot(results["scaling"], out / "bench-distributed.png")
    (out / "capacity.md").write_text(capacity.markdown(results))
    console.print(markdown(results))


if __name__ == "__main__":
    typer.run(main)
