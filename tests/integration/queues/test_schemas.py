"""Processes of two versions side by side: what one cannot read it leaves to the other, and is not held up by."""

from __future__ import annotations

from typing import Any

import redis

from service.core.messages import Options, Priority
from service.queues import envelope
from service.queues.leases import WorkerTimes
from tests.contract.benches import MODEL, until
from tests.integration.queues.parts import KEYS, ask, asking, ids, residue, working
from tests.servers import RedisServer

STREAM = KEYS.of(MODEL).stream(Priority.NORMAL)
BRISK = WorkerTimes(tick_s=0.05, beat_s=0.2, life_s=1.0)


def entry(schema: bytes) -> dict[bytes | str, bytes | str | int]:
    """A request of a front-end that has died since."""
    params = envelope.params("id", Options())
    return {"v": schema, "i": b"t", "d": 0, "r": "gone", "s": 1, "p": params, "x": b"x"}


def leases(client: redis.Redis) -> list[tuple[bytes, int]]:
    """Who has what was delivered, and how many deaths it has seen."""
    found: Any = client.xpending_range(STREAM, "w", "-", "+", 9)
    return [(lease["consumer"], lease["times_delivered"]) for lease in found]


async def test_what_cannot_be_read_is_left_to_newer_workers(server: RedisServer) -> None:
    """It is released as if it had never been leased, again and again, while other requests are answered."""
    async with working(server, BRISK) as lanes, asking(server) as front_end:
        with server.client() as client:
            newer = client.xadd(STREAM, entry(b"2"))
            assert await ids(ask(front_end, ["a", "b", "c"])) == ["a", "b", "c"]
            await until(lambda: leases(client) == [(b"released", 0)])

            assert lanes.computed.keys() == {"a", "b", "c"}
            assert client.xack(STREAM, "w", newer) == client.xdel(STREAM, newer) == 1


async def test_an_entry_that_breaks_its_schema_stops_nobody(server: RedisServer) -> None:
    """Put there by hand, perhaps; it is left alone, and seen by who looks at the queue."""
    async with working(server, BRISK), asking(server) as front_end:
        with server.client() as client:
            for broken in ({"v": b"1"}, entry(b"1") | {"p": b"\xff"}, entry(b"1") | {"d": b"soon"}, {"w": b"1"}):
                client.xadd(STREAM, broken)
            assert await ids(ask(front_end, ["a"])) == ["a"]
            await until(lambda: leases(client) == [(b"released", 0)] * 4)

            assert await ids(ask(front_end, ["b"])) == ["b"]


async def test_what_newer_workers_have_taken_hides_nothing(server: RedisServer) -> None:
    """A worker that has met such an entry still takes over from the dead, after the entry is gone."""
    async with working(server, BRISK) as lanes:
        with server.client() as client:
            newer = client.xadd(STREAM, entry(b"2"))
            await until(lambda: leases(client) == [(b"released", 0)])
            client.xack(STREAM, "w", newer)
            client.xdel(STREAM, newer)
            client.hset(KEYS.of(MODEL).line, "bytes", 1)  # as submitting it would
            with client.pipeline(transaction=True) as together:
                together.xadd(STREAM, entry(envelope.SCHEMA))
                together.xreadgroup("w", "dead", {STREAM: ">"})
                together.execute()

            await until(lambda: lanes.computed["id"] == 1)
        await until(lambda: residue(server) == {})
