"""Limits of disk and memory in real containers: a clear no, and work again when there is room."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.client import AsyncClient, Retry
from service.core.errors import NotReady, Overloaded, Refused, ServiceError
from service.core.jobs import Order
from tests.e2e.stack import Stack, docker, until
from tests.e2e.work import PICTURES, check, finished, sdk, submit

pytestmark = pytest.mark.slow


def answers(stack: Stack) -> bool:
    """Whether a picture is classified just now, without trying again."""
    with stack.client(timeout_s=20, retry=Retry(budget_s=0)) as client:
        try:
            return client.classify(PICTURES[7], model="digits").predictions[0].label == "7"
        except ServiceError:
            return False


async def open_many(client: AsyncClient) -> None:
    """Jobs, since the first ones may fit into the last page of Redis' file."""
    for _ in range(1000):
        await client.jobs.open(Order("digits"))


async def test_a_worker_out_of_memory_is_missed_and_comes_back(small: Stack) -> None:
    """The kernel kills it; callers are told that nobody computes, and are answered when it has room again."""
    worker = small.containers("worker")[0]
    docker("stop", "--time", "1", worker)
    docker("update", "--memory", "48m", "--memory-swap", "48m", worker)
    docker("start", worker)
    with small.client(timeout_s=20, retry=Retry(budget_s=0)) as client:

        def refused() -> bool:
            try:
                client.classify(PICTURES[7], model="digits")
            except (NotReady, Overloaded) as error:
                return "worker" in str(error)
            return False

        until(refused, "nobody said that there is no worker")
    docker("update", "--memory", "2g", "--memory-swap", "2g", worker)

    until(lambda: answers(small), "it does not compute again")


async def test_a_full_redis_says_so_and_goes_on_when_there_is_room(small: Stack) -> None:
    """At its memory limit nothing is taken in and nothing is lost; above it work goes on."""
    small.redis("config", "set", "maxmemory", "1")
    async with sdk(small) as client:
        with pytest.raises((Overloaded, NotReady, Refused)) as refusal:
            await client.jobs.open(Order("digits"))
        assert "memory" in str(refusal.value).lower()
        small.redis("config", "set", "maxmemory", "512mb")

        check(await finished(client, (await submit(client, 20)).id), 20)


async def test_a_full_disk_says_so_and_goes_on_when_there_is_room(small: Stack, disk: Path) -> None:
    """Redis keeps what it has accepted and stops; jobs are refused, naming it, until there is room."""
    async with sdk(small) as client:
        kept = await submit(client, 20)
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space left on device"):
            filler.write_bytes(bytes(2**25))
        with pytest.raises(NotReady, match="redis is away"):
            await open_many(client)
        filler.unlink()
        until(lambda: answers(small), "it does not compute again")

        check(await finished(client, kept.id), 20)
        check(await finished(client, (await submit(client, 20)).id), 20)
