"""One bidirectional call whose answers keep the order of the requests, though they are worked on side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import grpc

from service.api.guard import Context
from service.core.errors import NotReady

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class OrderedStream(Generic[Asked, Answered]):
    """At most `max_unanswered` requests are read and not answered; what `answer` raises ends the call."""

    def __init__(self, context: Context, answer: Callable[[Asked], Awaitable[Answered]], max_unanswered: int) -> None:
        self._context = context
        self._answer = answer
        self._room = asyncio.Semaphore(max_unanswered)
        self._answers: asyncio.Queue[asyncio.Future[Answered] | None] = asyncio.Queue()
        self._unanswered: set[asyncio.Future[Answered]] = set()
        self._reader = asyncio.create_task(self._read())
        self._stopping = False

    async def run(self) -> None:
        """Go on until the caller half-closes and has every answer; raises `NotReady` after `stop`.

        Cancelled, since the caller left, it withdraws everything that is unanswered.
        """
        try:
            while (answered := await self._answers.get()) is not None:
                await self._context.write(await answered)
                self._room.release()
            if self._stopping:
                raise NotReady("the server is shutting down; what was read is answered")
            await self._reader
        finally:
            left: tuple[asyncio.Future[Any], ...] = (self._reader, *self._unanswered)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def stop(self) -> None:
        """Read no more, answer what was read, then end the call: an idle stream must not hold up a shutdown."""
        self._stopping = True
        self._reader.cancel()

    async def _read(self) -> None:
        try:
            while await self._room.acquire() and (request := await self._context.read()) is not grpc.aio.EOF:
                task = asyncio.ensure_future(self._answer(request))
                self._unanswered.add(task)
                task.add_done_callback(self._unanswered.discard)
                self._answers.put_nowait(task)
        finally:
            self._answers.put_nowait(None)
