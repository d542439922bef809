"""Sentinel, Cluster, TLS and ACL: real processes, and what happens to requests when the master changes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from service.core.errors import InvalidInput
from service.queues.redis_submissions import FrontEndTimes
from service.queues.redis_url import parse
from tests.contract.benches import until
from tests.integration.queues.parts import KEYS, ask, asking, computing, ids, residue, working
from tests.servers import require
from tests.topologies import MASTER, Cluster, Secured, Sentinels

NAMES = [str(n) for n in range(300)]
PATIENT = FrontEndTimes(beat_s=0.2, away_s=20.0)
Topology = TypeVar("Topology", Sentinels, Cluster, Secured)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[type[Topology]], Topology]]:
    """Start one topology; it is gone after the test."""
    running: list[Sentinels | Cluster | Secured] = []

    def start(kind: type[Topology]) -> Topology:
        require("redis")
        topology = kind(tmp_path)
        running.append(topology)
        topology.start()
        return topology

    yield start
    for topology in running:
        topology.stop()


@pytest.mark.chaos
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_failover_loses_nothing(started: Callable[[type[Sentinels]], Sentinels], how: signal.Signals) -> None:
    """The master dies or freezes under load; the replica, which may lack the newest entries, takes over."""
    sentinels = started(Sentinels)
    old, new = sentinels.master, sentinels.replica
    async with working(sentinels.url) as lanes, asking(sentinels.url, PATIENT) as front_end:
        tasks = ask(front_end, NAMES)
        await computing(100, tasks, lanes)
        old.signal(how)
        await until(lambda: sentinels.promoted(new), 20)

        assert await ids(tasks) == NAMES
        assert await ids(ask(front_end, ["after"])) == ["after"]
        old.signal(signal.SIGCONT)
        await until(lambda: residue(new) == {})


@pytest.mark.chaos
async def test_an_orderly_failover_loses_nothing(started: Callable[[type[Sentinels]], Sentinels]) -> None:
    """The old master lives on as a replica: READONLY and unblocked reads send everybody to the new one."""
    sentinels = started(Sentinels)
    new = sentinels.replica
    async with working(sentinels.url) as lanes, asking(sentinels.url, PATIENT) as front_end:
        tasks = ask(front_end, NAMES)
        await computing(100, tasks, lanes)
        sentinels.watchers[0].send("SENTINEL", "FAILOVER", MASTER)
        await until(lambda: sentinels.promoted(new), 20)

        assert await ids(tasks) == NAMES
        assert await ids(ask(front_end, ["after"])) == ["after"]
        await until(lambda: residue(new) == {})


@pytest.mark.chaos
async def test_a_slot_moves_under_load(started: Callable[[type[Cluster]], Cluster]) -> None:
    """While the keys travel to another node callers wait a little longer; nothing is lost, nothing crosses slots."""
    cluster = started(Cluster)
    async with working(cluster.url) as lanes, asking(cluster.url, PATIENT) as front_end:
        tasks = ask(front_end, NAMES)
        await computing(100, tasks, lanes)
        source, target = cluster.begin_move(KEYS)
        during = ask(front_end, ["during"])
        await asyncio.to_thread(cluster.end_move, KEYS, source, target)

        assert await ids(tasks) == NAMES
        assert await ids(during) == ["during"]
        assert await ids(ask(front_end, ["after"])) == ["after"]
        await until(lambda: residue(target) == {})
        with source.client() as client:
            assert client.keys(f"{KEYS.tag}*") == []


@pytest.mark.chaos
async def test_the_nodes_are_asked_in_turn(started: Callable[[type[Cluster]], Cluster]) -> None:
    """A seed that is down costs nothing as long as another one answers."""
    cluster = started(Cluster)
    owner = cluster.owner(KEYS)
    seeds = sorted(cluster.nodes, key=lambda node: node is owner)
    seeds[0].kill()
    cluster.nodes = seeds
    async with working(cluster.url), asking(cluster.url) as front_end:
        assert await ids(ask(front_end, ["a"])) == ["a"]


async def test_a_wrong_password_is_not_repeated(started: Callable[[type[Secured]], Secured], tmp_path: Path) -> None:
    """Callers learn that Redis refuses the user, and nothing of what it was sent."""
    secured = started(Secured)
    (tmp_path / "password").write_text("s3cret")
    async with asking(secured.url) as front_end:
        assert front_end.away == "redis is away: invalid username-password pair or user is disabled."


async def test_a_stranger_is_not_trusted(started: Callable[[type[Secured]], Secured], tmp_path: Path) -> None:
    """A server whose certificate nobody vouches for is away."""
    secured = started(Secured)
    secured.permit("~* +@all")
    url = secured.url.replace(f"ssl_ca_certs={tmp_path}/ca.pem&", "")
    async with asking(url) as front_end:
        assert "certificate verify failed" in front_end.away


async def test_a_password_of_the_environment_wins(started: Callable[[type[Secured]], Secured], tmp_path: Path) -> None:
    """Over the file's, which wins over the URL's; a file that cannot be read is named."""
    secured = started(Secured)
    password = (tmp_path / "password").read_text().strip()
    (tmp_path / "password").write_text("old")
    connection = await parse(secured.url, KEYS.tag, password).connection()
    await connection.connect()  # type: ignore[no-untyped-call]  # redis-py
    await connection.disconnect()
    (tmp_path / "password").unlink()

    with pytest.raises(InvalidInput, match="password_file must be readable"):
        parse(secured.url, KEYS.tag)
