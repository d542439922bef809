"""A real gRPC server with fakes inside, on a thread of its own so that blocking callers can be tested too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.api.classifier import Bounds
from service.api.introspection import IntrospectionServicer
from service.api.server import GrpcServer, GrpcSettings
from service.core.use_cases import Diagnosing, Introspecting
from service.introspect.desk import Desk
from tests.fakes import FakeCatalog, FakeClassifier


@dataclass(frozen=True)
class Running:
    address: str
    inside: FakeClassifier
    catalog: FakeCatalog
    loop: asyncio.AbstractEventLoop


@contextmanager
def running_server(glass: Introspecting | None = None, health: Diagnosing | None = None) -> Iterator[Running]:
    """Serves on a free port until the end of the block; `glass` can be looked into, and `health` examined."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> tuple[GrpcServer, Running]:
        inside, catalog = FakeClassifier(), FakeCatalog()
        introspection = IntrospectionServicer(glass, Desk(), health=health) if glass else None
        settings = GrpcSettings("127.0.0.1:0", 4 << 20, Bounds())
        server = GrpcServer(settings, inside, catalog, lambda _: None, introspection)
        return server, Running(f"127.0.0.1:{await server.start()}", inside, catalog, loop)

    started, running = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield running
    finally:
        asyncio.run_coroutine_threadsafe(started.stop(0), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
