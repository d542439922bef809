"""Versions come and go under load, and no caller notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from service.client import AsyncClient, Retry
from service.core.errors import NoSuchModel, NotReady, Refused
from tests.serving import Serving

ONCE = Retry(budget_s=0)


@dataclass
class Traffic:
    """The versions that answered each caller, in order; an error ends the test."""

    versions: list[list[int]] = field(default_factory=lambda: [[] for _ in range(8)])


@asynccontextmanager
async def traffic(client: AsyncClient, image: bytes) -> AsyncIterator[Traffic]:
    """Eight callers of the latest `guide`, one request after another, none of them repeated."""
    seen, over = Traffic(), asyncio.Event()

    async def caller(versions: list[int]) -> None:
        while not over.is_set():
            versions.append((await client.classify(image, model="guide")).model.version)

    async with asyncio.TaskGroup() as callers:
        for versions in seen.versions:
            callers.create_task(caller(versions))
        while not all(seen.versions):
            await asyncio.sleep(0.01)
        yield seen
        over.set()


async def until_latest(client: AsyncClient, version: int) -> None:
    """Wait until version 0 means `version`."""
    while (await client.model("guide")).version != version:
        await asyncio.sleep(0.01)


async def until(client: AsyncClient, version: int, state: str) -> None:
    """Wait until a version is in `state`."""
    while all((one.version, one.state) != (version, state) for one in await client.models()):
        await asyncio.sleep(0.01)


async def test_a_new_version_takes_over_without_a_failed_request(serve: Callable[..., Serving], nine: bytes) -> None:
    """Three versions are published one after another under load; each takes over, nobody is refused."""
    serving = serve("guide")
    async with AsyncClient(serving.grpc, retry=ONCE) as client:
        async with traffic(client, nine) as seen:
            for version in (2, 3, 4):
                serving.publish("guide", version)
                await until_latest(client, version)
            await until(client, 2, "available")
        states = {one.version: one.state for one in await client.models()}

    assert seen.versions == [sorted(versions) for versions in seen.versions]
    assert {(versions[0], versions[-1]) for versions in seen.versions} == {(1, 4)}
    assert states == {1: "available", 2: "available", 3: "ready", 4: "ready"}


async def test_a_broken_version_keeps_the_old_one_and_shows_why(serve: Callable[..., Serving], nine: bytes) -> None:
    """One byte of the file differs from the manifest: the old version answers on, and the status names the file."""
    serving = serve("guide")
    version = serving.publish("guide", 3)
    model = version / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    async with AsyncClient(serving.grpc, retry=ONCE) as client:
        async with traffic(client, nine) as seen:
            await until(client, 3, "failed")
        status = await client.model("guide", 3)
        with pytest.raises(NotReady, match=r"guide:3 is failed.*model\.onnx"):
            await client.classify(nine, model="guide", version=3)

    assert {version for versions in seen.versions for version in versions} == {1}
    assert "SHA-256" in status.reason


async def test_the_previous_version_can_be_asked_for(serve: Callable[..., Serving], nine: bytes) -> None:
    """By its number, beside the latest; older ones say how to load them, absent ones that they are not there."""
    serving = serve("guide")
    async with AsyncClient(serving.grpc, retry=ONCE) as client:
        for version in (2, 3):
            serving.publish("guide", version)
            await until_latest(client, version)
        await until(client, 1, "available")

        assert (await client.classify(nine, model="guide", version=2)).model.version == 2
        with pytest.raises(Refused, match=r"guide:1 is stored but not loaded; Models\.Load loads it"):
            await client.classify(nine, model="guide", version=1)
        assert (await client.load("guide", 1)).state == "ready"
        assert (await client.classify(nine, model="guide", version=1)).model.version == 1
        with pytest.raises(NoSuchModel, match=r"guide.*9"):
            await client.classify(nine, model="guide", version=9)


async def test_a_model_can_be_unloaded_under_load(serve: Callable[..., Serving], nine: bytes) -> None:
    """What is in flight is answered; what comes later is told that the model is not loaded."""
    serving = serve("guide")
    answered = 0
    async with AsyncClient(serving.grpc, retry=ONCE) as client:

        async def caller() -> None:
            nonlocal answered
            with pytest.raises((NotReady, Refused)):  # noqa: PT012 - whichever call it is that is refused
                while True:
                    await client.classify(nine, model="guide")
                    answered += 1

        async with asyncio.TaskGroup() as callers:
            for _ in range(8):
                callers.create_task(caller())
            while answered < 8:
                await asyncio.sleep(0.01)
            await client.unload("guide")
