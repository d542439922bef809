"""Reads one line's work from Redis: exactly when a lane is idle, and one batch ahead while there is a backlog.

A blocking read is never cancelled: Redis may just have delivered entries to it, and they would stay leased to nobody.
It is ended by CLIENT UNBLOCK instead, and after a broken connection whatever was delivered into it is released.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Self

from service.core.messages import Priority
from service.core.turns import BULK, order
from service.queues import scripts
from service.queues.envelope import Work, read_work
from service.queues.keys import GROUP
from service.queues.redis_keeper import Keeper
from service.queues.redis_link import Away, Link, Rejected
from service.queues.redis_site import Post
from service.queues.redis_supply import Supply
from service.queues.stirring import Stirring

_UNBLOCK_AGAIN_S = 0.05
#: How long urgent work alone is waited for while all the bulk work that may be held is being fetched.
_URGENT_MS = 100
#: Deliveries that are looked at in one turn of the event loop: it has callers to hear as well.
_SLICE = 16
#: Bulk work is read for so long ahead, in seconds, in at most so many batches: each read is a write of Redis's.
_AHEAD_S, _AHEAD = 0.05, 4


class Fetcher:
    """Puts deliveries of these `priorities` on the shelf; an async context manager.

    `free()` tells how many lanes would take some at once; who waits for that is woken by `stirring`.
    """

    def __init__(
        self,
        post: Post,
        priorities: Sequence[Priority],
        *,
        keeper: Keeper,
        supply: Supply,
        stirring: Stirring,
        free: Callable[[], int],
    ) -> None:
        self._post = post
        self._site = post.site
        self._priorities = priorities
        self._streams = [post.keys.stream(priority) for priority in priorities]
        self._keeper = keeper
        self._supply = supply
        self._stirring = stirring
        self._free = free
        self._link = Link(post.site.server, post.site.times.block_s + post.site.times.patience_s)
        self._connections = 0  #: of the commands, when leases were last compared
        self._backlogged = False
        self._turn = 0
        self._closing = False
        self._reading = False

    async def __aenter__(self) -> Self:
        """Connect; Redis may be away for now."""
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._link.__aexit__()

    async def run(self) -> None:
        """Read until `stop`."""
        self._connections = self._site.commands.connections
        while not self._closing:
            await self._guarded(self._fetch)

    async def rest(self) -> int:
        """After `stop`: read without waiting what there is room for; how much that was."""
        return await self._guarded(self._by_urgency) if self.hungry else 0

    def stop(self) -> None:
        """Begin nothing more."""
        self._closing = True
        self._stirring.stir()

    async def stopped(self) -> None:
        """After `stop`: end the read that is under way."""
        while self._reading:
            unblock = self._site.commands.send("CLIENT", "UNBLOCK", self._link.client_id)
            await asyncio.gather(unblock, return_exceptions=True)  # when Redis is away the read ends by itself
            await asyncio.sleep(_UNBLOCK_AGAIN_S)

    @property
    def hungry(self) -> bool:
        """Whether there is room on the shelf."""
        waiting = self._post.shelf.waiting_of(self._priorities)
        return (self._free() > 0 and not waiting) or (self._backlogged and 2 * waiting < self._post.batch)

    async def _guarded(self, step: Callable[[], Any]) -> int:
        """Take one step; errors are healed, and count as something that was read: the step may be taken again."""
        try:
            if self._connections != self._site.commands.connections:
                await self._disown()
            return int(await step())
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
        for stream in self._streams:
            await self._release(stream)
        self._connections = connections

    def _release(self, stream: str) -> asyncio.Future[Any]:
        keep = self._post.shelf.entries()
        return self._site.commands.run(scripts.RELEASE, [stream], GROUP, self._post.consumer, 1, *keep)

    # What to read

    async def _fetch(self) -> int:
        await self._stirring.until(lambda: self.hungry or self._closing)
        if self._closing:
            return 0
        return await (self._by_urgency() if self._backlogged else self._blocking())

    def _wanted(self) -> Sequence[Priority]:
        """While all the bulk work that may be held is being fetched, urgent work alone is read."""
        return [p for p in self._priorities if p not in BULK or not self._supply.full]

    def _room(self, priority: Priority) -> int:
        batch, item_s = self._post.batch, self._post.shelf.pace.service_s
        if priority in BULK and item_s:
            batch = max(batch, min(_AHEAD * batch, int(_AHEAD_S / item_s)))
        return batch * max(1, self._free()) - self._post.shelf.waiting_of(self._priorities)

    # How to read

    async def _by_urgency(self) -> int:
        """Without waiting. One stream after the other: COUNT counts for each stream of a command."""
        taken, full = 0, False
        for priority in chain.from_iterable(order(self._turn)):
            room = self._room(priority) - taken
            if room > 0 and priority in self._wanted():
                found = await self._read(room, (priority,))
                taken, full = taken + found, full or found >= room
        self._turn += 1
        self._backlogged = full
        return taken

    async def _blocking(self) -> int:
        self._reading = True
        room, wanted = self._room(Priority.NORMAL), self._wanted()
        block_ms = _URGENT_MS if len(wanted) < len(self._priorities) else int(self._site.times.block_s * 1000)
        try:
            taken = await self._read(room, wanted, "BLOCK", block_ms)
        finally:
            self._reading = False
        self._backlogged = taken >= room
        return taken

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
                if first:
                    self._stirring.stir()
                    await asyncio.sleep(0)  # others have a turn of the event loop
                works = self._known(entries[first : first + _SLICE])
                await self._supply.stock(works, priority)
                taken += len(works)
        self._stirring.stir()
        if self._keeper.foreign:
            for stream in streams:
                await self._release(stream)
        return taken

    def _known(self, entries: Sequence[Sequence[Any]]) -> list[Work]:
        works = [(entry, read_work(entry, fields)) for entry, fields in entries]
        self._keeper.foreign.update(entry for entry, work in works if work is None)
        return [work for _, work in works if work is not None]
