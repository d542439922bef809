"""The asking side: look at the picture's header, find the version, queue, wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from service.core.errors import NotReady
from service.core.events import Emit, RequestDone
from service.core.image import Limits, inspect
from service.core.messages import Answer, ModelKey, Options, Payload, Priority, Request
from service.core.ports import Submissions
from service.telemetry.context import REQUEST_ID, TRACEPARENT
from service.telemetry.outcomes import code_of


class Dispatcher:
    """Takes one picture after another to whoever serves the model asked for.

    `resolve(name, version)` finds the version that 0 stands for; it raises `NoSuchModel` or `NotReady`.
    """

    def __init__(
        self,
        resolve: Callable[[str, int], ModelKey],
        queue: Submissions,
        limits: Limits,
        emit: Emit,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve = resolve
        self._queue = queue
        self._limits = limits
        self._emit = emit
        self._now = now
        self.leaving = False  #: whether callers should go elsewhere
        self.closed = False

    def leave(self) -> None:
        """Have callers told to go elsewhere; who comes all the same is answered."""
        self.leaving = True

    def close(self) -> None:
        """Refuse whatever comes from now on; what is in flight goes on."""
        self.leaving = self.closed = True

    async def classify(
        self, *, id: str, model: str, version: int, image: bytes, options: Options, deadline: float, method: str
    ) -> Answer:
        """The answer to one picture. `deadline` in seconds of the monotonic clock; `method` names the call in metrics.

        Cancelling the awaiting task withdraws the request. Raises `BadImage`, `NoSuchModel`, `NotReady`,
        `Overloaded`, `TooLate` or `EngineFailed`.
        """
        REQUEST_ID.set(id)
        with _Observed(self._emit, self._now, method) as observed:
            observed.key = key = self._admit(model, version)
            inspect(image, self._limits)
            answer = await self._queue.submit(Request(id, key, image, options, deadline, trace=TRACEPARENT.get()))
            observed.answers = (answer,)
            return answer

    async def classify_all(
        self,
        *,
        id: str,
        model: str,
        version: int,
        images: Sequence[Payload],
        options: Options,
        deadline: float,
        priority: Priority,
        method: str,
    ) -> Sequence[Answer]:
        """The answers to all pictures of one request, by one version; the first that fails takes the others with it.

        Raises what `classify` does.
        """
        REQUEST_ID.set(id)
        with _Observed(self._emit, self._now, method) as observed:
            observed.key = key = self._admit(model, version)
            if not options.pixels:
                for image in images:
                    inspect(bytes(image), self._limits)
            trace = TRACEPARENT.get()
            requests = [Request(id, key, image, options, deadline, priority, trace) for image in images]
            observed.answers = answers = await _together([self._queue.submit(request) for request in requests])
            return answers

    def _admit(self, model: str, version: int) -> ModelKey:
        if self.closed:
            raise NotReady("the server is shutting down")
        return self._resolve(model, version)


class _Observed:
    """States at its end what became of one request."""

    __slots__ = ("_emit", "_method", "_now", "_started", "answers", "key")

    def __init__(self, emit: Emit, now: Callable[[], float], method: str) -> None:
        self._emit = emit
        self._now = now
        self._method = method
        self._started = now()
        self.key = ModelKey("", 0)
        self.answers: Sequence[Answer] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        took_s = self._now() - self._started
        timings = tuple([answer.timing for answer in self.answers])
        best = tuple([answer.predictions[0] for answer in self.answers if answer.predictions])
        self._emit(RequestDone(self.key.name, self._method, code_of(error), took_s, self.key.version, timings, best))


async def _together(submissions: Sequence[Coroutine[Any, Any, Answer]]) -> Sequence[Answer]:
    """All answers in order. When one fails, or the caller leaves, the others are withdrawn."""
    if len(submissions) == 1:
        return [await submissions[0]]
    tasks = [asyncio.ensure_future(submission) for submission in submissions]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
