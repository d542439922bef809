"""A cache in front of the queue: nothing is computed twice, neither later nor at the same time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.core.caching import Answers, given_again, key_of
from service.core.errors import TooLate
from service.core.events import CacheAsked, CacheOutcome, Emit
from service.core.messages import Answer, ModelKey, Priority, Request
from service.core.ports import Depth, Submissions


class Shared(Protocol):
    """A second level that several front-ends share."""

    async def get(self, key: bytes) -> Answer | None:
        """The answer under a key; None also while it cannot be reached."""

    async def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer, if it can be reached."""


class Alone:
    """The second level of a front-end that has none."""

    async def get(self, _key: bytes) -> None:
        """Nothing."""

    async def put(self, _key: bytes, _answer: Answer) -> None:
        """Forget it."""


_Place = tuple[bytes, Priority]


@dataclass(slots=True, eq=False)
class _Flight:
    """One request under way for all who asked for the same; it ends with the last of them who leaves."""

    task: asyncio.Task[tuple[Answer, CacheOutcome]]
    deadline: float
    waiting: int = 0


class CachedSubmissions:
    """`Submissions` that keeps answers in `kept`, and in `shared` behind it.

    `digest(model)` is that of the file that serves a version, "" where nobody knows: then nothing is kept. Errors are
    never kept. Requests for the same thing that are under way at once are one, of the most patient who wait for it.
    """

    def __init__(
        self,
        inside: Submissions,
        digest: Callable[[ModelKey], str],
        kept: Answers,
        emit: Emit,
        *,
        shared: Shared | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inside = inside
        self._digest = digest
        self._kept = kept
        self._shared = shared or Alone()
        self._emit = emit
        self._now = now
        self._flights: dict[_Place, _Flight] = {}

    def depth(self, model: ModelKey) -> Depth:
        """What the queue holds."""
        return self._inside.depth(model)

    async def submit(self, request: Request) -> Answer:
        """See `Submissions.submit`."""
        digest = self._digest(request.model)
        if not digest:
            return await self._inside.submit(request)
        started = self._now()
        key = key_of(digest, request)
        kept = self._kept.get(key, started)
        took_s = self._now() - started
        if kept:
            self._emit(CacheAsked(request.model, "hit", took_s))
            return given_again(kept, request)
        answer, outcome = await self._fly(key, digest, request)
        self._emit(CacheAsked(request.model, outcome, took_s))
        return answer if outcome == "miss" else given_again(answer, request)

    async def _fly(self, key: bytes, digest: str, request: Request) -> tuple[Answer, CacheOutcome]:
        """Join who asks for the same, or go first. Who joined somebody less patient tries again."""
        place = (key, request.priority)
        while True:
            flight = self._flights.get(place)
            joined = flight is not None
            flight = flight or self._start(place, digest, request)
            try:
                answer, outcome = await self._wait(place, flight, request.deadline)
            except TooLate:
                if self._now() >= request.deadline or flight.deadline >= request.deadline:
                    raise
            else:
                return answer, "joined" if joined else outcome

    def _start(self, place: _Place, digest: str, request: Request) -> _Flight:
        flight = _Flight(asyncio.create_task(self._ask(place[0], digest, request)), request.deadline)
        self._flights[place] = flight
        flight.task.add_done_callback(lambda _: self._land(place, flight))
        return flight

    async def _wait(self, place: _Place, flight: _Flight, deadline: float) -> tuple[Answer, CacheOutcome]:
        left_s = None if math.isinf(deadline) else deadline - self._now()
        flight.waiting += 1
        try:
            async with asyncio.timeout(left_s):
                return await asyncio.shield(flight.task)
        except TimeoutError:
            raise TooLate("deadline: it passed before the same picture was answered for somebody else") from None
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._land(place, flight)
                flight.task.cancel()

    async def _ask(self, key: bytes, digest: str, request: Request) -> tuple[Answer, CacheOutcome]:
        if found := await self._shared.get(key):
            self._kept.put(key, found, self._now())
            return found, "shared"
        answer = await self._inside.submit(request)
        if answer.digest == digest:  # else the version changed its file just now
            self._kept.put(key, answer, self._now())
            await self._shared.put(key, answer)
        return answer, "miss"

    def _land(self, place: _Place, flight: _Flight) -> None:
        """Whoever comes from now on starts anew."""
        if self._flights.get(place) is flight:
            del self._flights[place]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # its waiters have it, if there are any left
