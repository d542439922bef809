"""Reads one line's work from Redis: exactly when a lane is idle, and one batch ahead while there is a backlog.

A blocking read is never cancelled: Redis may just have delivered entries to it, and they would stay leased to nobody.
It is ended by CLIENT UNBLOCK instead, and after a broken connection whatever was delivered into it is released.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from service.core.messages import Priority
from service.core.turns import order
from service.queues import scripts
from service.queues.envelope import Work, read_work
from service.queues.keys import GROUP
from service.queues.redis_keeper import Keeper
from service.queues.redis_link import Away, Link, Rejected
from service.queues.redis_site import Post
from service.queues.redis_supply import Supply

_UNBLOCK_AGAIN_S = 0.05
_URGENT = (Priority.HIGH, Priority.NORMAL)
#: How long urgent work alone is waited for while all the bulk work that may be held is being fetched.
_URGENT_MS = 100
#: Deliveries that are looked at in one turn of the event loop: it has callers to hear as well.
_SLICE = 32


class Fetcher:
    """Puts deliveries on the shelf. `idle()` tells how many lanes wait; `stirred` is pulsed when that may change."""

    def __init__(
        self, post: Post, keeper: Keeper, supply: Supply, stirred: asyncio.Event, idle: Callable[[], int]
    ) -> None:
        self._post = post
        self._site = post.site
        self._keeper = keeper
        self._supply = supply
        self._stirred = stirred
        self._idle = idle
        self._link = Link(post.site.server, post.site.times.block_s + post.site.times.patience_s)
        self._connections = 0  #: of the commands, when leases were last compared
        self._backlogged = False
        self._turn = 0
        self._closing = False
        self._reading = False
        self.drained = False

    async def run(self) -> None:
        """Read until `close`, then what is left if no other worker is there to take it."""
        async with self._link:
            await self._keeper.announced.wait()
            self._connections = self._site.commands.connections
            while not self._closing:
                await self._guarded(self._fetch)
            if not await self._keeper.retire():
                while await self._guarded(self._drain):
                    pass
        self.drained = True
        self._stir()

    async def close(self) -> None:
        """Let `run` come to its end."""
        self._closing = True
        self._stir()
        while self._reading:
            unblock = self._site.commands.send("CLIENT", "UNBLOCK", self._link.client_id)
            await asyncio.gather(unblock, return_exceptions=True)  # when Redis is away the read ends by itself
            await asyncio.sleep(_UNBLOCK_AGAIN_S)

    async def _guarded(self, step: Callable[[], Any]) -> bool:
        """Take one step; errors are healed, and count as one that may be taken again."""
        try:
            if self._connections != self._site.commands.connections:
                await self._disown()
            return bool(await step())
        except Rejected as error:
            self._connections = 0
            return await self._keeper.heal(error)
        except Away:
            self._connections = 0
            await self._link.up()
            await self._site.commands.up()
        return True

    async def _disown(self) -> None:
        """Release what Redis holds for this worker while the worker does not.

        It was delivered into a connection that broke, or finished on a server whose successor knows less.
        """
        connections = self._site.commands.connections
        for stream in self._post.keys.streams:
            await self._release(stream)
        self._connections = connections

    def _release(self, stream: str) -> asyncio.Future[Any]:
        keep = self._post.shelf.entries()
        return self._site.commands.run(scripts.RELEASE, [stream], GROUP, self._post.consumer, 1, *keep)

    # What to read

    async def _fetch(self) -> bool:
        while not (self._hungry() or self._closing):
            await self._stirred.wait()
        if not self._closing:
            room = self._room()
            taken = await (self._by_urgency(room) if self._backlogged else self._blocking(room))
            self._backlogged = taken >= room
        return True

    async def _drain(self) -> bool:
        while not self._hungry():
            await self._stirred.wait()
        return bool(await self._by_urgency(self._room()) or self._keeper.released or self._post.shelf.waiting)

    def _hungry(self) -> bool:
        waiting = self._post.shelf.waiting
        return (self._idle() > 0 and not waiting) or (self._backlogged and waiting < self._post.batch)

    def _room(self) -> int:
        return self._post.batch * max(1, self._idle()) - self._post.shelf.waiting

    # How to read

    async def _by_urgency(self, room: int) -> int:
        """Without waiting. One stream after the other: COUNT counts for each stream of a command."""
        taken = 0
        for priority in chain.from_iterable(order(self._turn)):
            if taken < room and priority in self._wanted():
                taken += await self._read(room - taken, (priority,))
        self._turn += 1
        return taken

    async def _blocking(self, room: int) -> int:
        self._reading = True
        block_ms = _URGENT_MS if self._supply.full else int(self._site.times.block_s * 1000)
        try:
            return await self._read(room, self._wanted(), "BLOCK", block_ms)
        finally:
            self._reading = False

    def _wanted(self) -> Sequence[Priority]:
        return _URGENT if self._supply.full else tuple(Priority)

    async def _read(self, room: int, priorities: Sequence[Priority], *blocking: str | int) -> int:
        streams = [self._post.keys.stream(priority) for priority in priorities]
        group = ("GROUP", GROUP, self._post.consumer)
        reply = await self._link.send(
            "XREADGROUP", *group, "COUNT", room, *blocking, "STREAMS", *streams, *(">" for _ in streams)
        )
        taken = 0
        for stream, entries in reply or ():
            priority = priorities[streams.index(stream.decode())]
            for first in range(0, len(entries), _SLICE):
                works = self._known(entries[first : first + _SLICE])
                await self._supply.stock(works, priority)
                taken += len(works)
                self._stir()
                await asyncio.sleep(0)  # others have a turn of the event loop
        if self._keeper.foreign:
            for stream in streams:
                await self._release(stream)
        return taken

    def _known(self, entries: Sequence[Sequence[Any]]) -> list[Work]:
        works = [(entry, read_work(entry, fields)) for entry, fields in entries]
        self._keeper.foreign.update(entry for entry, work in works if work is None)
        return [work for _, work in works if work is not None]

    def _stir(self) -> None:
        self._stirred.set()
        self._stirred.clear()
