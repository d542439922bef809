"""What a supervisor does when a worker process of its has died: its leases are free at once, not a lease later."""

from __future__ import annotations

from service.core.messages import ModelKey
from service.queues import scripts
from service.queues.keys import GROUP, Keys, LineKeys
from service.queues.redis_link import Link
from service.queues.redis_url import Server


async def release(server: Server, worker: str, keys: Keys | None = None) -> int:
    """Free what the worker process called `worker` held; how many leases that were. Raises `NotReady`.

    A crash counts: each lease keeps the death that it has seen, and runs alone from now on.
    """
    keys = keys or Keys()
    released = 0
    async with Link(server) as link:
        for member in await link.send("ZRANGE", keys.models, 0, -1):
            name, _, version = member.decode().rpartition(":")
            released += await _release(link, keys.of(ModelKey(name, int(version))), f"{worker}:".encode())
    return released


async def _release(link: Link, keys: LineKeys, prefix: bytes) -> int:
    released = 0
    for stream in keys.streams:
        for consumer in await link.send("XINFO", "CONSUMERS", stream, GROUP):
            name: bytes = consumer[consumer.index(b"name") + 1]
            if name.startswith(prefix):
                await link.run(scripts.RETIRE, [keys.workers, keys.lanes, keys.line], name)
                released += await link.run(scripts.RELEASE, [stream], GROUP, name, 0)
    return released
