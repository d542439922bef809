"""Servers shared by all tests of this folder; each test has a key prefix of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import KINDS, RedisServer, binary

_prefixes = itertools.count()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RedisServer]]:
    """Every kind of server that is installed, running."""
    running = {kind: RedisServer(kind, Path(tmp_path_factory.mktemp(kind))) for kind in KINDS if binary(kind)}
    for server in running.values():
        server.start()
    yield running
    for server in running.values():
        server.stop()


@pytest.fixture
def prefix() -> str:
    """A key prefix that no other test uses."""
    return f"t{next(_prefixes)}"
