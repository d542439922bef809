"""A suspect runs alone; clocks are translated."""

from __future__ import annotations

import asyncio
import math

from service.core.messages import Lease, ModelKey, Options, Priority, Request
from service.queues.envelope import Work
from service.queues.leases import Gate, Held
from service.queues.server_clock import ServerClock


def held(*, alone: bool = False) -> Held:
    """One lease."""
    work = Work(b"1-0", b"t", "fe", 0, 1, "id", Options(), b"x")
    lease = Lease(Request("id", ModelKey("m", 1), b"x"), 0.0)
    return Held(work, lease, Priority.NORMAL, renewed_s=0.0, alone=alone)


async def test_a_suspect_waits_until_nothing_runs() -> None:
    """And while it waits and runs, nothing starts."""
    gate, innocent, suspect = Gate(), held(), held(alone=True)
    gate.start([innocent], 0.0)
    closing = asyncio.create_task(gate.close())
    await asyncio.sleep(0)
    passing = asyncio.create_task(gate.passable())
    await asyncio.sleep(0)
    assert not closing.done()

    gate.end([innocent])
    await closing
    gate.start([suspect], 0.0)
    assert not passing.done()
    gate.end([suspect])
    await passing


async def test_whoever_gives_up_closing_lets_others_through() -> None:
    """A lane that is cancelled while it waits to run alone."""
    gate, running = Gate(), held()
    gate.start([running], 0.0)
    closing = asyncio.create_task(gate.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])

    await asyncio.wait_for(gate.passable(), 1)


def test_the_servers_clock_is_translated() -> None:
    """Half the round trip is the reading's error."""
    clock = ServerClock()
    clock.observe(asked_s=10.0, server_ms=1_000_000, answered_s=10.2)

    assert math.isclose(clock.local(1_000_400), 10.5)
    assert clock.local(0) == math.inf
