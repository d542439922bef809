"""A worker's inputs of jobs: entries refer to them, they lie in Redis, and some only say where to fetch a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from service.core.errors import BadImage, Cancelled, EngineFailed, InvalidInput, ServiceError
from service.core.jobs import Item
from service.core.messages import Priority
from service.queues.envelope import Place, Work, read_item
from service.queues.leases import Held
from service.queues.redis_site import Post

#: Fetches that are under way or wait for their turn; no more bulk work is read beyond it.
_MAX_FETCHING = 128
#: Work that has waited for longer may be of a front-end that is no more.
_WAITED_S = 1.0


class Supply:
    """Holds and shelves what is leased. `failed` is told of items that have no picture; `stir` of everything new."""

    def __init__(self, post: Post, failed: Callable[[Held, ServiceError], None], stir: Callable[[], None]) -> None:
        self._post = post
        self._site = post.site
        self._failed = failed
        self._stir = stir
        self._fetches: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        """Whether so much is being fetched that no more should be leased for now."""
        return len(self._fetches) >= _MAX_FETCHING

    async def stop(self) -> None:
        """Fetch no more."""
        for fetch in self._fetches:
            fetch.cancel()
        if self._fetches:
            await asyncio.wait(self._fetches)

    async def stock(self, works: Sequence[Work], priority: Priority) -> None:
        """Shelve deliveries, each as soon as its picture is here.

        Raises `Away` or `Rejected` before any of them is held.
        """
        items, gone = await self._items(works), await self._gone(works)
        for work in works:
            held, item = self._hold(work, priority, items)
            if work.front_end in gone:
                self._failed(held, Cancelled("the front-end that asked is gone, and its callers with it"))
            elif _complete(held):
                self._post.shelf.shelve(held)
            else:
                fetch = asyncio.create_task(self._fetch(held, item))
                self._fetches.add(fetch)
                fetch.add_done_callback(partial(self._fetched, held))

    async def take(self, work: Work, priority: Priority) -> tuple[Held, Item | None]:
        """Hold one delivery, and tell what it refers to; a picture that must be fetched is for `fill` to bring."""
        return self._hold(work, priority, await self._items([work]))

    async def fill(self, held: Held, item: Item | None) -> bool:
        """Whether there is a picture; if not, `failed` has been told why."""
        if _complete(held):
            return True
        try:
            held.fill(await self._picture(item))
        except ServiceError as error:
            self._failed(held, error)
        return _complete(held)

    def _hold(self, work: Work, priority: Priority, items: Mapping[Place, Item | None]) -> tuple[Held, Item | None]:
        item = items[work.place] if work.place else None
        if work.place and item:
            work = replace(work, image=item.image, place=replace(work.place, name=item.label))
        return self._post.shelf.hold(work, priority, self._site.now()), item

    async def _fetch(self, held: Held, item: Item | None) -> None:
        if await self.fill(held, item):
            self._post.shelf.shelve(held)

    def _fetched(self, held: Held, fetch: asyncio.Task[None]) -> None:
        """Whatever a library has raised fails this item, and holds up no other."""
        self._fetches.discard(fetch)
        if not fetch.cancelled() and (error := fetch.exception()) is not None:
            self._failed(held, EngineFailed(f"the picture could not be fetched: {error}"))
        self._stir()

    async def _picture(self, item: Item | None) -> bytes:
        if item is None:
            raise EngineFailed("the job's input is gone")  # with its job, as a rule: then nobody reads this
        if not item.uri:
            raise BadImage("image", "a picture", "no bytes")
        image = await self._site.fetch(item.uri)
        if not image:
            raise BadImage("uri", "a picture", f"{item.uri}, which is empty")
        return image

    async def _gone(self, works: Sequence[Work]) -> set[str]:
        """The front-ends that have died since: asked for work that has waited only, so that others pay nothing."""
        clock, long_ago = self._site.clock, self._site.now() - _WAITED_S
        waited = sorted({work.front_end for work in works if work.front_end and clock.local(work.queued_ms) < long_ago})
        keys = map(self._site.keys.replies, waited)
        there = await asyncio.gather(*(self._site.commands.send("EXISTS", key) for key in keys))
        return {front_end for front_end, exists in zip(waited, there, strict=True) if not exists}

    async def _items(self, works: Sequence[Work]) -> dict[Place, Item | None]:
        """What deliveries refer to; None where that is gone. One command for each job."""
        wanted: dict[str, list[int]] = {}
        for place in (work.place for work in works if work.place is not None):
            wanted.setdefault(place.job, []).append(place.index)
        replies = await asyncio.gather(
            *(self._site.commands.send("HMGET", self._site.keys.job(job).inputs, *ns) for job, ns in wanted.items())
        )
        return {
            Place(job, n): read_item(body) if body is not None else None
            for (job, ns), bodies in zip(wanted.items(), replies, strict=True)
            for n, body in zip(ns, bodies, strict=True)
        }


def _complete(held: Held) -> bool:
    return held.work.place is None or bool(held.work.image)


Fetch = Callable[[str], Awaitable[bytes]]


async def fetch_nothing(uri: str) -> bytes:
    """Raise `InvalidInput`: what a worker does that was not told where it may fetch pictures from."""
    raise InvalidInput("uri", "none: this worker fetches nothing", uri)
