"""What a supervisor does when a worker process of its has died: its leases are free at once, not a lease later."""

from __future__ import annotations

import asyncio

from service.core.messages import ModelKey
from service.queues import scripts
from service.queues.keys import GROUP, Keys
from service.queues.redis_link import Link, Rejected
from service.queues.redis_url import Server


async def release(server: Server, worker: str, keys: Keys | None = None) -> int:
    """Free what the worker process called `worker` held; how many leases that were. Raises `NotReady`.

    A crash counts: each lease keeps the death that it has seen, and runs alone from now on.
    """
    keys = keys or Keys()
    prefix = f"{worker}:".encode()
    released = 0
    async with Link(server) as link:
        for member in await link.send("ZRANGE", keys.models, 0, -1):
            name, _, version = member.decode().rpartition(":")
            line = keys.of(ModelKey(name, int(version)))
            for post in await link.send("ZRANGE", line.workers, 0, -1):
                if post.startswith(prefix):
                    retired = [line.workers, line.lanes, line.line, keys.models]
                    await link.run(scripts.RETIRE, retired, post, member)
            released += sum(await asyncio.gather(*(_release(link, stream, prefix) for stream in line.streams)))
    return released


async def _release(link: Link, stream: str, prefix: bytes) -> int:
    try:
        consumers = await link.send("XINFO", "CONSUMERS", stream, GROUP)
    except Rejected:
        return 0  # the stream, or its group, is gone: nothing in it is leased
    names = [consumer[consumer.index(b"name") + 1] for consumer in consumers]
    theirs = [name for name in names if name.startswith(prefix)]
    return sum([await link.run(scripts.RELEASE, [stream], GROUP, name, 0) for name in theirs])
