"""A real server on a real socket, with a fake inside."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from service.api.classifier import Bounds
from service.api.server import GrpcServer, GrpcSettings
from service.core.events import Event
from tests.fakes import FakeCatalog, FakeClassifier


@pytest.fixture
async def inside() -> FakeClassifier:
    return FakeClassifier()


@pytest.fixture
def catalog() -> FakeCatalog:
    return FakeCatalog()


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def settings() -> GrpcSettings:
    return GrpcSettings("127.0.0.1:0", 1 << 20, Bounds(max_batch_items=4, max_stream_in_flight=3))


@pytest.fixture
async def server(
    settings: GrpcSettings, inside: FakeClassifier, catalog: FakeCatalog, events: list[Event]
) -> AsyncIterator[GrpcServer]:
    server = GrpcServer(settings, inside, catalog, events.append)
    yield server
    await server.stop(0)


@pytest.fixture
async def port(server: GrpcServer) -> int:
    return await server.start()


@pytest.fixture
async def channel(port: int) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
