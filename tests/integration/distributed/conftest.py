"""A Redis, and whatever a test starts around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client import Client
from tests.integration.distributed.deployment import Deployment, Started, WorkerStarted, until
from tests.servers import RedisServer, require


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Nothing but a Redis yet."""
    yield from deployed(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One deployment for the tests of a module that leave it as it is."""
    yield from deployed(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def workers(shared: Deployment) -> tuple[WorkerStarted, WorkerStarted]:
    """Two that serve the same models."""
    return shared.worker(model="guide,digits"), shared.worker(model="guide,digits")


@pytest.fixture(scope="module")
def front_end(shared: Deployment, workers: tuple[WorkerStarted, WorkerStarted]) -> Started:
    """One that is ready, as the workers are, and has heard of both models."""
    started = shared.front_end()
    shared.ready(*workers, started)
    with Client(started.address("gRPC")) as client:
        until(lambda: len(client.models()) == 2)
    return started


def deployed(folder: Path) -> Iterator[Deployment]:
    """A deployment in `folder`, ended in the end."""
    require("redis")
    redis = RedisServer("redis", folder)
    redis.start()
    deployment = Deployment(folder, redis)
    yield deployment
    deployment.end()
    redis.stop()
