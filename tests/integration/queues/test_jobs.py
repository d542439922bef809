"""Durable jobs over real servers: what was accepted is computed once, and its results are found from any cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from service.core.errors import InvalidInput, NoSuchJob, Overloaded, Reason, Refused
from service.core.jobs import Durability, Item, ItemResult, Job, JobLimits, JobState, Order
from service.core.messages import Answer, ModelKey, Options
from service.queues.redis_jobs import RedisJobs
from tests.contract.benches import MODEL
from tests.integration.queues.parts import KEYS, address, residue, working
from tests.servers import RedisServer

ORDER = Order(MODEL.name, ttl_s=60)
#: What these tests are about does not depend on disks.
LIMITS = JobLimits(least=Durability.UNVERIFIED)


def resolve(name: str, version: int) -> ModelKey:
    return ModelKey(name, version or MODEL.version)


@asynccontextmanager
async def jobs_on(server: RedisServer, limits: JobLimits = LIMITS) -> AsyncIterator[RedisJobs]:
    """A front-end's view of jobs."""
    async with RedisJobs(address(server), resolve, limits, keys=KEYS, poll_s=0.01) as jobs:
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


async def test_every_item_is_computed_once(server: RedisServer) -> None:
    """Each of five hundred items has one result under its own name, and nothing but results is left of the job."""
    async with working(server) as lanes, jobs_on(server) as jobs:
        opened = await submitted(jobs, 500)
        job, results = await ended(jobs, opened.id)

        assert (job.state, job.items, job.succeeded, job.failed, job.in_flight) == (JobState.DONE, 500, 500, 0, 0)
        assert indices(results) == list(range(500))
        assert all(result.name == str(result.index) for result in results)
        assert max(lanes.computed.values()) == 1
        assert residue(server) == {}
        with server.client() as client:
            assert not client.exists(KEYS.job(job.id).inputs)
            assert client.hget(KEYS.jobs[1], job.id) is None


async def test_answers_are_kept_as_they_were_given(server: RedisServer) -> None:
    """Options reach the worker, and predictions come back from Redis."""
    async with working(server), jobs_on(server) as jobs:
        job = await submitted(jobs, 1, order=replace(ORDER, options=Options(2, 0.5, logits=True)))
        _, (result,) = await ended(jobs, job.id)

        assert job.options == Options(2, 0.5, logits=True)
        assert isinstance(result.outcome, Answer)
        assert result.outcome.predictions[0].label == f"{job.id}/0"


async def test_an_idempotency_key_stands_for_one_job(server: RedisServer) -> None:
    """Opened twice it is the same job; another order under the key is the caller's mistake."""
    keyed = replace(ORDER, idempotency_key="key")
    async with jobs_on(server) as jobs:
        first, second = await jobs.open(keyed), await jobs.open(keyed)

        assert first.id == second.id
        with pytest.raises(InvalidInput, match=f"one that was not used for job {first.id}"):
            await jobs.open(replace(keyed, options=Options(top_k=1)))
        assert (await jobs.open(ORDER)).id != first.id


async def test_chunks_are_taken_once_and_in_order(server: RedisServer) -> None:
    """A chunk sent again changes nothing, a gap is refused, and so is a seal before the last chunk."""
    async with jobs_on(server) as jobs:
        job = await jobs.open(ORDER)
        assert await jobs.append(job.id, 0, pictures(0, 3)) == (1, 3)
        assert await jobs.append(job.id, 0, pictures(0, 3)) == (1, 3)
        with pytest.raises(InvalidInput, match=f"chunk: the next of job {job.id} is 1, got 2"):
            await jobs.append(job.id, 2, pictures(3, 4))
        with pytest.raises(InvalidInput, match="is 1, got 2"):
            await jobs.seal(job.id, 2)
        sealed = await jobs.seal(job.id, 1)

        assert (sealed.state, sealed.items, sealed.last_item) == (JobState.RUNNING, 3, "2")
        with pytest.raises(Refused, match="takes no more chunks: it is running"):
            await jobs.append(job.id, 1, pictures(3, 4))


async def test_inputs_wait_outside_while_there_is_no_room(server: RedisServer) -> None:
    """With nobody to compute, the server holds what it may and asks to come back later."""
    async with jobs_on(server, replace(LIMITS, max_bytes=200)) as jobs:
        job = await jobs.open(ORDER)
        await jobs.append(job.id, 0, [Item("a", b"x" * 150)])

        with pytest.raises(Overloaded, match="at most 200 bytes may wait") as caught:
            await jobs.append(job.id, 1, [Item("b", b"x" * 150)])
        assert caught.value.reason is Reason.BYTES
        assert caught.value.retry_after_s > 0
        async with working(server):
            await until_finished(jobs, job.id, 1)
            assert await jobs.append(job.id, 1, [Item("b", b"x" * 150)]) == (2, 2)


async def until_finished(jobs: RedisJobs, id: str, count: int) -> None:
    async with asyncio.timeout(20):
        async for job, _ in jobs.watch(id):
            if job.finished >= count:
                return


async def test_work_of_a_job_that_nobody_served_is_taken_by_whoever_comes(server: RedisServer) -> None:
    """Nothing is released without lanes; a worker that comes releases it."""
    async with jobs_on(server) as jobs:
        job = await submitted(jobs, 50)
        assert (await jobs.get(job.id)).in_flight == 0

        async with working(server):
            done, results = await ended(jobs, job.id)
        assert (done.state, indices(results)) == (JobState.DONE, list(range(50)))


async def test_a_worker_that_leaves_leaves_the_rest_of_a_job(server: RedisServer) -> None:
    """It finishes what was released, which is little, and the next one goes on."""
    async with jobs_on(server) as jobs:
        async with working(server):
            job = await submitted(jobs, 6000)
            await until_finished(jobs, job.id, 100)
        left = await jobs.get(job.id)
        assert left.state is JobState.RUNNING
        assert left.in_flight == 0

        async with working(server):
            _, results = await ended(jobs, job.id)
        assert indices(results) == list(range(6000))


async def test_a_cancelled_job_is_computed_no_more(server: RedisServer) -> None:
    """Its results stay, its inputs go, and what is in the hands of lanes is dropped."""
    async with working(server, computes_s=0.02) as lanes, jobs_on(server) as jobs:
        job = await submitted(jobs, 2000)
        await until_finished(jobs, job.id, 20)
        cancelled = await jobs.cancel(job.id)
        computed = sum(lanes.computed.values())
        last, results = await ended(jobs, job.id)

        assert (cancelled.state, cancelled.in_flight) == (JobState.CANCELLED, 0)
        assert last.succeeded == len(results) == cancelled.succeeded
        assert sum(lanes.computed.values()) <= computed + 8  # a batch for each lane
        assert (await jobs.cancel(job.id)).ended_ms == cancelled.ended_ms
        with pytest.raises(Refused, match="it is cancelled"):
            await jobs.append(job.id, job.next_chunk, pictures(0, 1))
    assert residue(server) == {}


async def test_a_job_that_redis_has_lost_is_lost_loudly(server: RedisServer) -> None:
    """Who watches it, hands in, or asks for results is told; the worker goes on, and the next job is done."""
    async with working(server, computes_s=0.02), jobs_on(server) as jobs:
        job = await submitted(jobs, 500)
        watching = asyncio.create_task(ended(jobs, job.id))
        await until_finished(jobs, job.id, 20)
        server.send("FLUSHALL")

        with pytest.raises(NoSuchJob, match=job.id):
            await watching
        with pytest.raises(NoSuchJob, match=job.id):
            await jobs.append(job.id, job.next_chunk, pictures(0, 1))
        again = await submitted(jobs, 40)
        done, results = await ended(jobs, again.id)
        assert (done.state, indices(results)) == (JobState.DONE, list(range(40)))


async def test_watching_goes_on_from_any_cursor_at_another_front_end(server: RedisServer) -> None:
    """No result is missed, and none comes twice."""
    first: list[ItemResult] = []
    async with working(server), jobs_on(server) as jobs, jobs_on(server) as others:
        job = await submitted(jobs, 600)
        async for _, results in jobs.watch(job.id):
            first += results
            if len(first) >= 100:
                break
        rest = [result async for _, results in others.watch(job.id, first[-1].cursor) for result in results]

        assert indices(first + rest) == list(range(600))
        assert [r.cursor async for r in others.results(job.id, first[-1].cursor)] == [r.cursor for r in rest]


async def test_jobs_share_workers(server: RedisServer) -> None:
    """A small job is not kept waiting until a large one is done."""
    async with working(server, computes_s=0.01), jobs_on(server) as jobs:
        large = await submitted(jobs, 6000)
        small = await submitted(jobs, 100)
        await ended(jobs, small.id)

        assert (await jobs.get(large.id)).finished < 6000
        await jobs.cancel(large.id)


async def test_an_item_without_a_picture_fails_alone(server: RedisServer) -> None:
    """Empty ones, and URIs that this worker fetches nothing from."""
    async with working(server), jobs_on(server) as jobs:
        job = await jobs.open(ORDER)
        await jobs.append(job.id, 0, [*pictures(0, 3), Item("empty"), Item(uri="file:///etc/passwd")])
        await jobs.seal(job.id, 1)
        done, results = await ended(jobs, job.id)

        assert (done.succeeded, done.failed) == (3, 2)
        failures = {result.name: str(result.outcome) for result in results if not isinstance(result.outcome, Answer)}
        assert failures == {
            "empty": "image: a picture, got no bytes",
            "file:///etc/passwd": "uri: none: this worker fetches nothing, got file:///etc/passwd",
        }


async def test_jobs_are_listed_newest_first_until_they_are_forgotten(server: RedisServer) -> None:
    """Page by page; a job whose TTL is over is not found."""
    async with jobs_on(server) as jobs:
        opened = [(await jobs.open(ORDER)).id for _ in range(3)]
        newest = sorted(opened, reverse=True)
        page = await jobs.list(2)

        assert [job.id for job in page] == newest[:2]
        assert [job.id for job in await jobs.list(2, page[-1].id)] == newest[2:]
        short = await jobs.open(replace(ORDER, ttl_s=1))
        with pytest.raises(NoSuchJob, match=short.id):
            await until_finished(jobs, short.id, 1)
        assert short.id not in [job.id for job in await jobs.list(10)]


@pytest.mark.parametrize("id", ["nope", "", "../x", "a:in"])
async def test_a_job_that_is_not_there_is_not_found(server: RedisServer, id: str) -> None:
    """Whatever its id looks like."""
    async with jobs_on(server) as jobs:
        with pytest.raises(NoSuchJob):
            await jobs.get(id)
        with pytest.raises(NoSuchJob):
            await jobs.append(id, 0, pictures(0, 1))


async def test_a_server_that_would_lose_jobs_is_refused(make_server: Callable[..., RedisServer]) -> None:
    """With the lines of its configuration that mend it; less is promised where less is asked for."""
    forgetful = make_server("redis")
    async with jobs_on(forgetful, JobLimits()) as jobs:
        with pytest.raises(Refused, match=r"FSYNCED, and would be MEMORY: .*appendonly yes.*appendfsync always"):
            await jobs.open(ORDER)
    async with jobs_on(forgetful) as jobs:
        assert (await jobs.open(ORDER)).durability is Durability.MEMORY
    lazy = make_server("redis", options=("--appendonly", "yes", "--appendfsync", "everysec"))
    async with jobs_on(lazy, JobLimits(least=Durability.WRITTEN)) as jobs:
        assert (await jobs.open(ORDER)).durability is Durability.WRITTEN
