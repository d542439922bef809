"""Workers that die, hang, leave and change their versions, while callers wait."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from service.client import AsyncClient, Options, Retry
from service.core.errors import NotReady, ServiceError
from service.queues.leases import WorkerTimes
from tests.guide import convolved, png
from tests.integration.distributed.deployment import Deployment, Started, WorkerStarted, until
from tests.integration.distributed.traps.sitecustomize import DEADLY

ONCE = Retry(budget_s=0)
NINE = bytes(range(9))


def ask(front_end: Started, pictures: list[bytes]) -> asyncio.Task[list[tuple[float, ...] | ServiceError]]:
    """The logits of each picture, or what its caller was told, all asked for at once."""

    async def one(client: AsyncClient, pixels: bytes) -> tuple[float, ...] | ServiceError:
        try:
            return (await client.classify(png(pixels), model="guide", options=Options(logits=True))).logits
        except ServiceError as error:
            return error

    async def every() -> list[tuple[float, ...] | ServiceError]:
        async with AsyncClient(front_end.address("gRPC"), retry=ONCE) as client:
            return await asyncio.gather(*(one(client, pixels) for pixels in pictures))

    return asyncio.create_task(every())


def different(count: int) -> list[bytes]:
    """Pictures that differ, none of them deadly."""
    return [bytes((n + 7 * k) % DEADLY for k in range(9)) for n in range(count)]


def release(worker: WorkerStarted) -> None:
    """Let the held engines go on."""
    worker.hold.unlink()


async def wait(*started: Started, deployment: Deployment) -> None:
    await asyncio.to_thread(deployment.ready, *started)


async def test_a_killed_child_is_replaced_and_its_work_taken_over(deployment: Deployment) -> None:
    """The supervisor frees its leases at once: another worker answers them long before any lease would have ended."""
    victim, front_end = deployment.worker(), deployment.front_end()
    await wait(victim, front_end, deployment=deployment)
    victim.hold.touch()
    asked = ask(front_end, different(8))
    await asyncio.to_thread(deployment.busy, 8)
    other = deployment.worker()
    await wait(other, deployment=deployment)
    child = victim.child()
    assert child
    child.kill()
    killed = time.monotonic()

    assert await asked == [convolved(pixels) for pixels in different(8)]
    assert time.monotonic() - killed < WorkerTimes().lease_s  # 0.2 s; `make chaos` measures it
    release(victim)
    await asyncio.to_thread(until, lambda: victim.metric("vitrine_worker_restarts_total") == 1)
    assert re.search('"ended_by": "SIGKILL", "leases_released": [1-9]', victim.log)


async def test_a_lone_worker_recovers_by_itself(deployment: Deployment) -> None:
    """Nobody else is there: the next child answers what the last one held, and no caller notices but by the clock."""
    worker, front_end = deployment.worker(), deployment.front_end()
    await wait(worker, front_end, deployment=deployment)
    worker.hold.touch()
    asked = ask(front_end, different(8))
    await asyncio.to_thread(deployment.busy, 8)
    release(worker)
    child = worker.child()
    assert child
    child.kill()

    assert await asked == [convolved(pixels) for pixels in different(8)]


async def test_a_leaving_worker_loses_nothing(deployment: Deployment) -> None:
    """SIGTERM under load: every request is answered, the process exits with 0 within its grace, nothing is left."""
    stays, leaves, front_end = deployment.worker(), deployment.worker(), deployment.front_end()
    await wait(stays, leaves, front_end, deployment=deployment)
    answered, stopping = 0, False
    async with AsyncClient(front_end.address("gRPC"), retry=ONCE) as client:

        async def caller() -> None:
            nonlocal answered
            while not stopping:
                await client.classify(png(NINE), model="guide")
                answered += 1

        async with asyncio.TaskGroup() as callers:
            for _ in range(16):
                callers.create_task(caller())
            while answered < 100:
                await asyncio.sleep(0.01)
            assert await asyncio.to_thread(leaves.stop) == 0
            after = answered
            while answered < after + 100:
                await asyncio.sleep(0.01)
            stopping = True
    assert deployment.leases() == []
    with deployment.redis.client() as redis:
        assert redis.zcard("{vitrine}:workers:guide:1") == 1


async def test_grace_has_an_end(deployment: Deployment) -> None:
    """What is not computed by then goes back to the queue as if it had never been leased, for the next worker."""
    slow, front_end = deployment.worker(GRACE_S="0.5"), deployment.front_end()
    await wait(slow, front_end, deployment=deployment)
    slow.hold.touch()
    asked = ask(front_end, different(12))
    await asyncio.to_thread(deployment.busy, 12)
    stopping = asyncio.create_task(asyncio.to_thread(slow.stop))
    await asyncio.to_thread(until, lambda: {owner for owner, _ in deployment.leases()} == {"released"})
    assert {deaths for _, deaths in deployment.leases()} == {0}
    await wait(deployment.worker(), deployment=deployment)

    assert await asked == [convolved(pixels) for pixels in different(12)]
    release(slow)
    await stopping


@pytest.mark.parametrize("holds", [0, 8])
async def test_a_worker_does_not_wait_for_a_redis_that_is_gone(deployment: Deployment, holds: int) -> None:
    """It can give nothing back: whether it holds work or not, it ends long before its grace does, and says why."""
    worker, front_end = deployment.worker(GRACE_S="60"), deployment.front_end()
    await wait(worker, front_end, deployment=deployment)
    worker.hold.touch()
    asked = ask(front_end, different(holds))
    if holds:
        await asyncio.to_thread(deployment.busy, holds)
    deployment.redis.kill()
    stopping = asyncio.create_task(asyncio.to_thread(worker.stop))
    release(worker)
    started = time.monotonic()

    assert await stopping == 0
    assert time.monotonic() - started < 40  # 3 s
    assert "the queue is away: what is leased is given back when its leases end" in worker.log
    assert all(isinstance(told, NotReady) for told in await asked)


async def test_no_child_outlives_its_supervisor(deployment: Deployment) -> None:
    """SIGKILL of the supervisor takes the child with it, though nobody is left to tell it."""
    worker = deployment.worker()
    await wait(worker, deployment=deployment)
    child = worker.child()
    assert child
    worker.process.kill()

    await asyncio.to_thread(until, lambda: not psutil.pid_exists(child.pid))


async def test_a_stuck_lane_costs_its_process(deployment: Deployment) -> None:
    """Its event loop is alive and would renew the leases for ever; the next child answers what it held."""
    worker, front_end = deployment.worker(STUCK_S="2"), deployment.front_end()
    await wait(worker, front_end, deployment=deployment)
    worker.hold.touch()
    asked = ask(front_end, different(4))
    await asyncio.to_thread(until, lambda: "worker killed" in worker.log)
    release(worker)

    assert await asked == [convolved(pixels) for pixels in different(4)]
    assert "model guide:1: a batch has been running for" in worker.log


async def test_a_child_that_stands_still_is_killed(deployment: Deployment) -> None:
    """SIGSTOP: no event loop, no word to the supervisor."""
    worker = deployment.worker(STUCK_S="1")
    await wait(worker, deployment=deployment)
    child = worker.child()
    assert child
    child.suspend()

    await asyncio.to_thread(until, lambda: "it has been silent for 3 s" in worker.log)
    await asyncio.to_thread(until, lambda: worker.metric("vitrine_worker_restarts_total") > 0)


async def test_versions_can_be_rolled(deployment: Deployment, tmp_path: Path) -> None:
    """Workers of both versions work side by side; 0 is the newer one as long as it has workers."""
    folders = {version: tmp_path / str(version) for version in (1, 2)}
    for version, folder in folders.items():
        deployment.publish("guide", version, folder)
    old, front_end = deployment.worker(folders[1]), deployment.front_end()
    await wait(old, front_end, deployment=deployment)
    async with AsyncClient(front_end.address("gRPC")) as client:

        async def latest() -> int:
            return (await client.classify(png(NINE), model="guide")).model.version

        assert await latest() == 1
        new = deployment.worker(folders[2])
        await wait(new, deployment=deployment)
        while await latest() == 1:
            await asyncio.sleep(0.05)
        assert (await client.classify(png(NINE), model="guide", version=1)).model.version == 1
        assert await asyncio.to_thread(new.stop) == 0
        while await latest() == 2:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("command", ["worker", "serve"])
async def test_a_redis_that_loses_work_is_refused(deployment: Deployment, command: str) -> None:
    """The message has the line that mends it, and the exit code is 2: starting it again would not help."""
    with deployment.redis.client() as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
    started = deployment.worker() if command == "worker" else deployment.front_end()

    assert await asyncio.to_thread(started.process.wait, 60) == 2
    assert "vitrine: redis: maxmemory-policy is 'allkeys-lru'" in started.log
    assert "set `maxmemory-policy noeviction`" in started.log
    assert "Traceback" not in started.log


async def test_a_second_signal_ends_it_at_once(deployment: Deployment) -> None:
    """Who cannot wait for the grace sends it twice; the child goes, too."""
    worker, front_end = deployment.worker(), deployment.front_end()
    await wait(worker, front_end, deployment=deployment)
    worker.hold.touch()
    asked = ask(front_end, different(8))
    await asyncio.to_thread(deployment.busy, 8)
    child = worker.child()
    assert child
    os.kill(worker.process.pid, signal.SIGTERM)
    await asyncio.to_thread(until, lambda: "model unloading" in worker.log)
    os.kill(worker.process.pid, signal.SIGTERM)

    assert await asyncio.to_thread(worker.process.wait, 60) == 128 + signal.SIGTERM
    await asyncio.to_thread(until, lambda: not psutil.pid_exists(child.pid))
    asked.cancel()
