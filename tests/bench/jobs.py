"""What a large job costs those who ask online, and how fast it is: `python -m tests.bench.jobs [ITEMS]`.

One server over the shipped digits model and a private Valkey with `appendfsync always`; online load and job come from
processes of their own on the same machine.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from service.client import AsyncClient
from service.core.jobs import Item, Order
from tests.bench.load import Load, Run

ROOT = Path(__file__).parents[2]
MODEL = "digits"
PICTURES = ROOT / "model" / "pictures" / MODEL
ITEMS = 100_000
#: Online callers, each with one picture at a time.
CALLERS = (1, 8)
SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class JobRun:
    """One job from the first chunk to the last result, in seconds."""

    items: int
    accepted_s: float
    finished_s: float
    failed: int


@contextmanager
def serving() -> Iterator[str]:
    """A server and its address."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder, "models")
        shutil.copytree(ROOT / "model" / "zoo" / MODEL, models / MODEL)
        flags = ("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--models", str(models))
        command = [sys.executable, "-m", "service", "serve", *flags, "--data-dir", str(Path(folder, "data"))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout
            try:
                yield process.stdout.readline().split()[1]
            finally:
                process.terminate()


async def ready(address: str) -> None:
    """Wait until the model is served."""
    async with AsyncClient(address) as client:
        while not [info for info in await client.models() if info.state == "ready"]:
            await asyncio.sleep(0.2)


async def run_job(address: str, items: int) -> JobRun:
    """Submit the shipped pictures again and again, and wait for the end."""
    pictures = [path.read_bytes() for path in sorted(PICTURES.glob("*.png"))]
    started = time.perf_counter()
    async with AsyncClient(address) as client:
        job = await client.jobs.submit((Item(str(n), pictures[n % len(pictures)]) for n in range(items)), Order(MODEL))
        accepted_s = time.perf_counter() - started
        async for event in client.jobs.watch(job.id, results=False):
            job = event.job
        return JobRun(items, accepted_s, time.perf_counter() - started, job.failed)


def online(address: str, callers: int) -> Run:
    """Load from a process of its own."""
    load = Load(address, MODEL, str(next(PICTURES.glob("*.png"))), callers, SECONDS)
    command = [sys.executable, "-m", "tests.bench.load", json.dumps(asdict(load))]
    return Run(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout))


@contextmanager
def busy(address: str) -> Iterator[None]:
    """A job that outlasts the block, from a process of its own."""
    command = [sys.executable, "-m", "tests.bench.jobs", "--against", address]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        try:
            time.sleep(2)  # until it is under way
            yield
            assert process.poll() is None, "the job was over before the load was"
        finally:
            process.terminate()


def main() -> None:
    """Print both tables."""
    if "--against" in sys.argv:
        uvloop.run(run_job(sys.argv[-1], 10 * ITEMS))
        return
    items = int(sys.argv[1]) if len(sys.argv) > 1 else ITEMS
    with serving() as address:
        uvloop.run(ready(address))
        job = uvloop.run(run_job(address, items))
        print(f"{job.items} items, {job.failed} failed: accepted in {job.accepted_s:.1f} s, ", end="")
        print(f"finished in {job.finished_s:.1f} s, {job.items / job.finished_s:.0f} images/s\n")
        print("| online callers | job | images/s | p50 ms | p99 ms |")
        print("|---|---|---|---|---|")
        for callers in CALLERS:
            _row(callers, "none", online(address, callers))
        with busy(address):
            for callers in CALLERS:
                _row(callers, "running", online(address, callers))


def _row(callers: int, job: str, run: Run) -> None:
    print(f"| {callers} | {job} | {run.per_second:.0f} | {run.p50_ms:.2f} | {run.p99_ms:.2f} |", flush=True)


if __name__ == "__main__":
    main()
