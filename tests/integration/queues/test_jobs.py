"""Durable jobs over real servers: what was accepted is computed once, and its results are found from any cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from service.core.jobs import Item, ItemResult, Job, JobLimits, JobState, Order
from service.core.messages import Answer, ModelKey, Options
from service.queues.redis_jobs import RedisJobs
from tests.contract.benches import MODEL
from tests.integration.queues.parts import KEYS, address, residue, working
from tests.servers import KINDS, RedisServer

ORDER = Order(MODEL.name, ttl_s=60)


@pytest.fixture(params=KINDS)
def kept(request: pytest.FixtureRequest, make_server: Callable[..., RedisServer]) -> RedisServer:
    """A server of either kind that keeps what it accepts."""
    return make_server(request.param, durable=True)


def resolve(name: str, version: int) -> ModelKey:
    return ModelKey(name, version or MODEL.version)


@asynccontextmanager
async def jobs_on(server: RedisServer, limits: JobLimits | None = None) -> AsyncIterator[RedisJobs]:
    """A front-end's view of jobs."""
    async with RedisJobs(address(server), resolve, limits or JobLimits(), keys=KEYS, poll_s=0.01) as jobs:
        yield jobs


def pictures(begin: int, end: int) -> list[Item]:
    return [Item(str(n), b"picture %d" % n) for n in range(begin, end)]


async def submitted(jobs: RedisJobs, count: int, chunk: int = 100, order: Order = ORDER) -> Job:
    """A sealed job of so many pictures."""
    job = await jobs.open(order)
    chunks = range(0, count, chunk)
    for number, begin in enumerate(chunks):
        await jobs.append(job.id, number, pictures(begin, min(begin + chunk, count)))
    return await jobs.seal(job.id, len(chunks))


async def ended(jobs: RedisJobs, id: str, timeout_s: float = 30) -> tuple[Job, list[ItemResult]]:
    """The job's last state, and its results in the order they came."""
    found: list[ItemResult] = []
    async with asyncio.timeout(timeout_s):
        async for _, results in jobs.watch(id):
            found += results
    return await jobs.get(id), found


def indices(results: Sequence[ItemResult]) -> list[int]:
    return sorted(result.index for result in results)


async def test_every_item_is_computed_once(kept: RedisServer) -> None:
    """Each of a thousand items has one result under its own name, and nothing but results is left of the job."""
    async with working(kept) as lanes, jobs_on(kept) as jobs:
        opened = await submitted(jobs, 1000)
        job, results = await ended(jobs, opened.id)

        assert (job.state, job.items, job.succeeded, job.failed, job.in_flight) == (JobState.DONE, 1000, 1000, 0, 0)
        assert indices(results) == list(range(1000))
        assert all(result.name == str(result.index) for result in results)
        assert max(lanes.computed.values()) == 1
        assert residue(kept) == {}
        with kept.client() as client:
            assert not client.exists(KEYS.job(job.id).inputs)
            assert client.hget(KEYS.jobs[1], job.id) is None


async def test_answers_are_kept_as_they_were_given(kept: RedisServer) -> None:
    """Options reach the worker, and predictions come back from Redis."""
    async with working(kept), jobs_on(kept) as jobs:
        job = await submitted(jobs, 1, order=replace(ORDER, options=Options(2, 0.5, logits=True)))
        _, (result,) = await ended(jobs, job.id)

        assert job.options == Options(2, 0.5, logits=True)
        assert isinstance(result.outcome, Answer)
        assert result.outcome.predictions[0].label == f"{job.id}/0"
