"""What happens to jobs when the process that computes them dies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from service.core.errors import EngineFailed
from service.core.jobs import Item, JobState
from service.core.messages import Answer
from service.queues.redis_release import release
from tests.contract.benches import MODEL
from tests.integration.queues.parts import KEYS, WorkerProcess, address, residue
from tests.integration.queues.test_jobs import ORDER, ended, indices, jobs_on
from tests.servers import RedisServer

pytestmark = pytest.mark.chaos


async def test_a_deadly_item_fails_alone(server: RedisServer, tmp_path: Path) -> None:
    """Of 32 one kills its worker, each time. 31 are answered, one fails and is a dead letter, after 3 deaths."""
    items = [Item(str(n), b"die" if n == 5 else b"picture") for n in range(32)]
    async with jobs_on(server) as jobs:
        job = await jobs.open(ORDER)
        await jobs.append(job.id, 0, items)
        await jobs.seal(job.id, 1)
        watching = asyncio.create_task(ended(jobs, job.id, 60))
        deaths = 0
        while not watching.done():
            worker = WorkerProcess(server, f"w{deaths}", tmp_path / f"ledger{deaths}", batch=32)
            await worker.start()
            dying = asyncio.create_task(worker.ended())
            await asyncio.wait((watching, dying), return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                worker.kill()
                await dying
            else:
                deaths += 1
                await release(address(server), worker.name, KEYS)
        done, results = await watching

        assert (done.state, done.succeeded, done.failed, deaths) == (JobState.DONE, 31, 1, 3)
        assert indices(results) == list(range(32))
        (failure,) = [result for result in results if not isinstance(result.outcome, Answer)]
        assert (failure.name, type(failure.outcome)) == ("5", EngineFailed)
        assert "3 workers died while they computed this picture" in str(failure.outcome)
        with server.client() as client:
            ((_, letter),) = client.xrange(KEYS.dead_letters(MODEL))
        assert (letter[b"id"], letter[b"image"]) == (f"{job.id}/5".encode(), b"die")
    assert residue(server) == {}


async def test_a_lost_stream_is_mended(server: RedisServer, tmp_path: Path) -> None:
    """Somebody deletes the stream of work by hand: whoever comes next releases it again."""
    async with jobs_on(server) as jobs:
        worker = WorkerProcess(server, "first", tmp_path / "ledger0")
        await worker.start()
        job = await jobs.open(ORDER)
        await jobs.append(job.id, 0, [Item(str(n), b"slow") for n in range(8)])
        await jobs.seal(job.id, 1)
        while (await jobs.get(job.id)).in_flight < 8:
            await asyncio.sleep(0.02)
        worker.kill()
        await worker.ended()
        with server.client() as client:
            client.delete(*KEYS.of(MODEL).streams)
            inputs = KEYS.job(job.id).inputs
            for field, body in client.hgetall(inputs).items():
                client.hset(inputs, field, body.replace(b"slow", b"fast"))
        second = WorkerProcess(server, "second", tmp_path / "ledger1")
        await second.start()
        done, results = await ended(jobs, job.id)
        second.kill()
        await second.ended()

        assert done.succeeded == 8
        assert indices(results) == list(range(8))
