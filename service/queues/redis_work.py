"""The working side over Redis: one line per model version."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from service.core.events import Emit
from service.core.messages import Lease, ModelKey, Outcome
from service.core.ports import Engine
from service.core.turns import Courtesy
from service.queues.keys import Keys
from service.queues.leases import Gate, Shelf, WorkerTimes
from service.queues.redis_line import Line
from service.queues.redis_link import Link
from service.queues.redis_site import Post, Site
from service.queues.redis_supply import Fetch, fetch_nothing
from service.queues.redis_url import Server
from service.queues.server_clock import ServerClock


class RedisWork:
    """`Work` over Redis. One per process; an async context manager, to be left after the lanes have ended.

    `worker` names this incarnation and is made up when empty: a new process never inherits the leases of an old one.
    `ahead` batches of a lane are read at once, for callers that share them out. `fetch` brings the picture at a URI,
    for items of jobs.
    """

    def __init__(
        self,
        server: Server,
        emit: Emit,
        *,
        worker: str = "",
        keys: Keys | None = None,
        times: WorkerTimes | None = None,
        now: Callable[[], float] = time.monotonic,
        ahead: int = 1,
        fetch: Fetch = fetch_nothing,
    ) -> None:
        self.worker = worker or f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"
        times = times or WorkerTimes()
        self._site = Site(
            worker=self.worker,
            server=server,
            commands=Link(server, times.patience_s),
            keys=keys or Keys(),
            times=times,
            clock=ServerClock(),
            gate=Gate(),
            courtesy=Courtesy(),
            emit=emit,
            now=now,
            ahead=ahead,
            fetch=fetch,
        )
        self._lines: dict[ModelKey, Line] = {}
        self._opened = itertools.count()

    async def __aenter__(self) -> Self:
        """Connect; Redis may be away for now."""
        await self._site.commands.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Deliver what is computed, give back what is not, and disappear."""
        for line in self._lines.values():
            await line.end()
        await self._site.commands.__aexit__()

    @property
    def away(self) -> str:
        """Why Redis cannot be reached; empty while it can."""
        return self._site.commands.away

    async def delivered(self) -> None:
        """Wait until Redis has every outcome."""
        for line in self._lines.values():
            await line.delivered()

    async def lost(self) -> None:
        """Wait until Redis has been away for so long that whoever wants to stop should."""
        await self._site.commands.lost(self._site.times.leave_s)

    @property
    def failed(self) -> str:
        """Why the process must be started again: a line of it takes no more work, by a fault. Empty while none is."""
        errors = (line.error for line in self._lines.values())
        return next((f"the queue's client failed: {error!r}" for error in errors if error is not None), "")

    def open(self, model: ModelKey, engine: Engine) -> None:
        """Announce `model`, and take requests for it from now on."""
        consumer = f"{self.worker}:{next(self._opened)}"
        keys, shelf = self._site.keys.of(model), Shelf(model, self._site.clock, self._site.courtesy)
        self._lines[model] = Line(Post(self._site, consumer, model, engine, keys, shelf))

    def close(self, model: ModelKey) -> None:
        """Take no more; the last worker of a model version works off what is queued."""
        self._lines[model].close()

    async def announced(self, model: ModelKey) -> None:
        """Wait until front-ends may ask for `model`."""
        await self._lines[model].announced()

    async def lease(self, model: ModelKey, limit: Callable[[int], int]) -> Sequence[Lease]:
        """Wait until something is queued, then take `limit(waiting)` of it; see `Work.lease`."""
        line = self._lines.get(model)
        return await line.lease(limit) if line else ()

    def leases(self) -> Mapping[ModelKey, int]:
        """How many requests of each model version are held by this worker."""
        return {model: line.held for model, line in self._lines.items()}

    def settle(self, outcomes: Sequence[tuple[Lease, Outcome]]) -> None:
        """Hand each outcome to its caller."""
        model = outcomes[0][0].request.model
        self._lines[model].settle(outcomes)
