"""One bidirectional call: requests are read while results are written, each at its own pace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import grpc

from service.api.guard import Context
from service.core.errors import NotReady
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb

Answer = Callable[[pb.ClassifyRequest], Awaitable[pb.ClassifyResult]]


class Stream:
    """Results in the order they are ready, with at most `max_unanswered` requests read and not answered.

    One task per request and no more: the loop that writes waits on a queue that those tasks fill.
    """

    def __init__(self, context: Context, answer: Answer, max_unanswered: int) -> None:
        self._context = context
        self._answer = answer
        self._room = asyncio.Semaphore(max_unanswered)
        self._results: asyncio.Queue[pb.ClassifyResult | None] = asyncio.Queue()
        self._unanswered: set[asyncio.Task[None]] = set()
        self._reader = asyncio.create_task(self._read())
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Go on until the caller half-closes and has every answer; raises `NotReady` after `stop`.

        Cancelled, since the caller left, it withdraws everything that is unanswered.
        """
        ending = asyncio.create_task(self._end())
        try:
            while (result := await self._results.get()) is not None:
                await self._context.write(result)
                self._room.release()
            if self._failure:
                raise self._failure
            await self._reader
        finally:
            left = (self._reader, ending, *self._unanswered)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def stop(self) -> None:
        """Read no more, answer what was read, then end the call: an idle stream must not hold up a shutdown."""
        self._failure = NotReady("the server is shutting down; what was read is answered")
        self._reader.cancel()

    async def _read(self) -> None:
        while await self._room.acquire() and (request := await self._context.read()) is not grpc.aio.EOF:
            task = asyncio.create_task(self._put(request))
            self._unanswered.add(task)
            task.add_done_callback(self._answered)

    async def _put(self, request: pb.ClassifyRequest) -> None:
        self._results.put_nowait(await self._answer(request))

    def _answered(self, task: asyncio.Task[None]) -> None:
        """A request left; one that could not even be answered with an error ends the call, lest its caller waits."""
        self._unanswered.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self._failure = failure
            self._results.put_nowait(None)

    async def _end(self) -> None:
        """Tell the writing loop when nothing more will come."""
        await asyncio.wait((self._reader,))
        if self._unanswered:
            await asyncio.wait(self._unanswered)
        self._results.put_nowait(None)
