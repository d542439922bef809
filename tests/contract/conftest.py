"""Servers shared by all tests of this folder; each test has a key prefix of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.servers import RedisServer, require
from tests.topologies import TOPOLOGIES, Cluster, Secured, Sentinels

_prefixes = itertools.count()


@pytest.fixture(scope="session")
def url_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The URL of one kind of server, or of one topology; each is started when it is first asked for."""
    running: dict[str, RedisServer | Sentinels | Cluster | Secured] = {}

    def url(name: str) -> str:
        if name not in running:
            topology, folder = TOPOLOGIES.get(name), tmp_path_factory.mktemp(name)
            require("redis" if topology else name)
            running[name] = topology(folder) if topology else RedisServer(name, folder)
            running[name].start()
        return running[name].url

    yield url
    for server in running.values():
        server.stop()


@pytest.fixture
def prefix() -> str:
    """A key prefix that no other test uses."""
    return f"t{next(_prefixes)}"
