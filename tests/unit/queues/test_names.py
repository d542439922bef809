"""Names are asked for once, and nobody has to wait for the answer."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from service.queues.names import resolved


@dataclass
class NameServer:
    """Answers when it is told to."""

    asked: list[str] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)
    failure: OSError | None = None

    def resolve(self, host: str, _: None) -> list[Any]:
        """As `socket.getaddrinfo`."""
        self.asked.append(host)
        self.answers.wait()
        if self.failure:
            raise self.failure
        return []


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """Silent until told otherwise, and in the end."""
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.resolve)
    yield server
    server.answers.set()


async def test_many_who_wait_ask_once(name_server: NameServer) -> None:
    """However many connections are being made."""
    waiting = [asyncio.create_task(resolved("redis")) for _ in range(3)]
    await asyncio.sleep(0)
    name_server.answers.set()
    await asyncio.gather(*waiting)

    assert name_server.asked == ["redis"]


async def test_who_leaves_takes_nobody_along(name_server: NameServer) -> None:
    """A caller whose patience is at its end ends at once; who still waits gets the answer."""
    leaves, stays = asyncio.create_task(resolved("redis")), asyncio.create_task(resolved("redis"))
    await asyncio.sleep(0)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    name_server.answers.set()

    await stays


async def test_a_name_without_an_address_is_told(name_server: NameServer) -> None:
    """Which one, and why; the next one who asks may be luckier."""
    name_server.failure = socket.gaierror(-2, "Name or service not known")
    name_server.answers.set()
    with pytest.raises(OSError, match=r"the name 'redis' cannot be resolved: .*Name or service not known"):
        await resolved("redis")
    name_server.failure = None

    await resolved("redis")


async def test_an_address_is_no_name(name_server: NameServer) -> None:
    """Nobody is asked."""
    for address in ("127.0.0.1", "::1"):
        await resolved(address)

    assert name_server.asked == []


def test_the_end_of_a_process_waits_for_no_name_server(name_server: NameServer) -> None:
    """An event loop ends while the answer is outstanding."""

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await resolved("redis")

    asyncio.run(ask())

    assert not name_server.answers.is_set()
