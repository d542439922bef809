"""`python -m tests.bench.jobs`: how fast jobs are, and what they cost those who ask online; part of `make bench`.

The shipped digits model in one process with a private Valkey, and with front-end and worker over Redis; both keep jobs
with `appendfsync always`. Jobs and online load come from processes of their own on the same machine. Writes
docs/bench-jobs.{json,md}; `--only` measures one deployment and keeps what is known of the other.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from service.client import AsyncClient
from service.core.jobs import Item, Job, Order
from tests.bench import report
from tests.bench.load import Load, Run
from tests.bench.serving import drive, serve, work
from tests.servers import RedisServer

ROOT = Path(__file__).parents[2]
MODEL = "digits"
PICTURES = ROOT / "model" / "pictures" / MODEL
#: Online callers, each with one picture at a time.
CALLERS = (1, 8)

console = Console()


@dataclass(frozen=True, slots=True)
class Effort:
    """Pictures of the job that is timed, and seconds of each online load."""

    items: int = 40_000
    seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class JobRun:
    """One job from the first chunk to the last result, in seconds."""

    items: int
    accepted_s: float
    finished_s: float
    failed: int


@contextmanager
def one_process(models: Path, folder: Path) -> Iterator[str]:
    """A server with a Valkey of its own; its address."""
    with serve(models, data_dir=str(folder / "data"), introspection="false") as server:
        yield server.grpc


@contextmanager
def over_redis(models: Path, folder: Path) -> Iterator[str]:
    """Redis, a worker and a front-end; the front-end's address."""
    redis = RedisServer("redis", folder, durable=True)
    redis.start()
    try:
        with work(models, redis.url), serve(models, redis=redis.url, introspection="false") as front_end:
            yield front_end.grpc
    finally:
        redis.stop()


DEPLOYMENTS: dict[str, Callable[[Path, Path], AbstractContextManager[str]]] = {
    "one process": one_process,
    "front-end + worker": over_redis,
}


def items(count: int) -> Iterator[Item]:
    """The shipped pictures, again and again."""
    pictures = [path.read_bytes() for path in sorted(PICTURES.glob("*.png"))]
    return (Item(str(n), pictures[n % len(pictures)]) for n in range(count))


async def hand_in(client: AsyncClient, count: int) -> Job:
    """Submit so many."""
    return await client.jobs.submit(items(count), Order(MODEL))


async def run_job(address: str, count: int) -> JobRun:
    """Submit so many, and wait for the end."""
    async with AsyncClient(address) as client:
        started = time.perf_counter()
        job = await hand_in(client, count)
        accepted_s = time.perf_counter() - started
        async for event in client.jobs.watch(job.id, results=False):
            job = event.job
        return JobRun(count, accepted_s, time.perf_counter() - started, job.failed)


async def hand_in_for_ever(address: str) -> None:
    """Submit one job after the other."""
    async with AsyncClient(address) as client:
        while True:
            await hand_in(client, 10_000)


@contextmanager
def handing_in(address: str) -> Iterator[None]:
    """Somebody hands in jobs all the while, from a process of its own; then all of them are cancelled."""
    command = [sys.executable, "-m", "tests.bench.jobs", "--hand-in", address]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            time.sleep(2)  # until it is under way
            yield
            assert process.poll() is None, "whoever hands in has died"
        finally:
            process.terminate()
    uvloop.run(cancel_all(address))


@contextmanager
def running(address: str, count: int) -> Iterator[None]:
    """A job that has been handed in, and outlasts the block; then it is cancelled."""
    uvloop.run(_submitted(address, count))
    yield
    left = uvloop.run(cancel_all(address))
    assert left, "the job was over before the load was"


async def _submitted(address: str, count: int) -> None:
    async with AsyncClient(address) as client:
        await hand_in(client, count)


async def cancel_all(address: str) -> int:
    """Cancel every job that goes on; how many items had no result."""
    left = 0
    async with AsyncClient(address) as client:
        async for job in client.jobs.list():
            if not job.state.ended:
                cancelled = await client.jobs.cancel(job.id)
                left += cancelled.items - cancelled.finished
    return left


def measured(name: str, effort: Effort) -> dict[str, Any]:
    """One deployment: a job alone, and online callers without any, beside one, and while jobs are handed in."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder, "models")
        shutil.copytree(ROOT / "model" / "zoo" / MODEL, models / MODEL)
        with DEPLOYMENTS[name](models, Path(folder)) as address:
            beside: dict[str, AbstractContextManager[None]] = {
                "none": nullcontext(),
                "running": running(address, 4 * effort.items),
                "handed in": handing_in(address),
            }
            job = uvloop.run(run_job(address, effort.items))
            console.print(f"{name}: {job}")
            rows = []
            for state, job_there in beside.items():
                with job_there:
                    for callers in CALLERS:
                        run = online(address, callers, effort.seconds)
                        console.print(f"{name}: {callers} online callers, job {state}: {run}")
                        rows.append({"callers": callers, "job": state, **asdict(run)})
    return {"job": asdict(job), "online": rows}


def online(address: str, callers: int, seconds: float) -> Run:
    """Load from a process of its own."""
    return drive(Load(address, MODEL, str(next(PICTURES.glob("*.png"))), callers, seconds))


def markdown(results: dict[str, Any]) -> str:
    """The tables of docs/bench-jobs.md."""
    machine = results["host"]
    lines = [
        "# Bench: jobs, and online callers beside them",
        "",
        "Measured by `make bench`: digits, a PNG of 28x28 per item and call. Servers, Redis and those who ask share",
        "this machine's cores; accepted items are fsynced. A job that is *handed in* comes from a process that sends",
        "as fast as it can, all the while.",
        "",
        report.on(machine),
    ]
    for name, found in results["deployments"].items():
        job = found["job"]
        lines += [
            "",
            f"## {name[0].upper()}{name[1:]}",
            "",
            f"A job of {job['items']:,} pictures alone: accepted after {job['accepted_s']:.1f} s, finished after",
            f"{job['finished_s']:.1f} s: {job['items'] / job['finished_s']:,.0f} pictures/s; {job['failed']} failed.",
            "",
            "| online callers | job | pictures/s | p50, ms | p99, ms | failed |",
            "|--:|---|--:|--:|--:|--:|",
        ]
        for row in found["online"]:
            latency = f"{row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {row['failed']}"
            lines.append(f"| {row['callers']} | {row['job']} | {row['per_second']:,.0f} | {latency} |")
    return "\n".join(lines) + "\n"


def main(
    *,
    only: Annotated[str, typer.Option(help=" or ".join(DEPLOYMENTS))] = "",
    quick: Annotated[bool, typer.Option("--quick")] = False,
    hand_in: Annotated[str, typer.Option(hidden=True)] = "",
    out: Path = Path("docs"),
) -> None:
    """Measure and write the report."""
    if hand_in:
        asyncio.run(hand_in_for_ever(hand_in))
    effort = Effort(items=2_000, seconds=1.0) if quick else Effort()
    path = out / "bench-jobs.json"
    known = json.loads(path.read_text())["deployments"] if path.exists() else {}
    names = [only] if only else list(DEPLOYMENTS)
    results = {"host": report.host(), "deployments": known | {name: measured(name, effort) for name in names}}
    path.write_text(json.dumps(results, indent=2) + "\n")
    (out / "bench-jobs.md").write_text(markdown(results))
    console.print(markdown(results), markup=False)


if __name__ == "__main__":
    typer.run(main)
