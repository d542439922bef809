"""Shadows: a copy of what was asked goes to another version, behind all that callers wait for, and is compared."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Self

from service.core.errors import ServiceError
from service.core.events import Compared, Emit
from service.core.messages import Answer, ModelKey, Priority, Request
from service.core.ports import Depth, Submissions
from service.core.routing import Record, Routing, agreement

#: How long a copy may wait for its answer, in seconds: nobody waits for it.
_PATIENCE_S = 30.0
#: Copies that may wait at once, over all models; their pictures are kept so long.
MAX_WAITING = 64


class Shadowing:
    """`Submissions` that copies requests where their model's routing says so. An async context manager.

    A copy is sent when its original is answered: callers wait no longer, and what fails costs nobody anything.
    """

    def __init__(
        self,
        inside: Submissions,
        record: Callable[[str], Record],
        emit: Emit,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inside = inside
        self._record = record
        self._emit = emit
        self._now = now
        self._copies: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()

    async def __aenter__(self) -> Self:
        """Nothing is to be opened."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give up the copies that wait."""
        for task in self._copies:
            task.cancel()
        await asyncio.gather(*self._copies, return_exceptions=True)

    def depth(self, model: ModelKey) -> Depth:
        """What the queue holds."""
        return self._inside.depth(model)

    def submit(self, request: Request) -> Coroutine[Any, Any, Answer]:
        """See `Submissions.submit`. Without a shadow it is the queue's own, and costs nothing more."""
        routing = self._record(request.model.name).routing
        return self._inside.submit(request) if routing.shadow is None else self._followed(request, routing)

    async def _followed(self, request: Request, routing: Routing) -> Answer:
        answer = await self._inside.submit(request)
        if version := routing.shadowed(request.model.version, f"{request.id}\0{next(self._numbers)}"):
            self._copy(request, answer, ModelKey(request.model.name, version))
        return answer

    def _copy(self, request: Request, answer: Answer, shadow: ModelKey) -> None:
        if len(self._copies) >= MAX_WAITING:
            self._emit(Compared(request.model, shadow, request.id, "skipped"))
            return
        copied = replace(request, model=shadow, deadline=self._now() + _PATIENCE_S, priority=Priority.BULK)
        task = asyncio.create_task(self._compare(copied, answer), name=f"shadow {shadow}")
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

    async def _compare(self, request: Request, answer: Answer) -> None:
        try:
            other = await self._inside.submit(request)
        except ServiceError as error:
            self._emit(Compared(answer.model, request.model, request.id, "failed", reason=str(error)))
            return
        agreed, distance = agreement(answer, other)
        self._emit(Compared(answer.model, request.model, request.id, "agreed" if agreed else "disagreed", distance))
