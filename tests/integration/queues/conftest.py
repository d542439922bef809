"""A server for each test, since the test breaks it; and nobody may leave keys behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import KINDS, RedisServer, require


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Start a server with the options given: `kind`, `durable`, `options`."""
    servers: list[RedisServer] = []

    def make(kind: str = "redis", **more: object) -> RedisServer:
        require(kind)
        folder = tmp_path / f"{kind}{len(servers)}"
        folder.mkdir()
        server = RedisServer(kind, folder, **more)  # type: ignore[arg-type]
        servers.append(server)
        server.start()
        return server

    yield make
    leaks = [leak for server in servers for leak in _leaks(server)]
    for server in servers:
        server.stop()
    assert leaks == [], "keys without a time to live"


def _leaks(server: RedisServer) -> list[bytes]:
    """Keys that nobody would ever remove."""
    if not server.running:
        return []
    with server.client() as client:
        return [key for key in client.scan_iter() if client.pttl(key) == -1]


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, make_server: Callable[..., RedisServer]) -> RedisServer:
    """A server of either kind."""
    return make_server(request.param)
