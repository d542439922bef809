"""The asking side: look at the picture's header, find the version, queue, wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from service.core.errors import Code, NotReady, ServiceError
from service.core.events import Emit, RequestDone
from service.core.image import Limits, inspect
from service.core.messages import Answer, ModelKey, Options, Request
from service.core.ports import Submissions


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
        self.closed = False

    def close(self) -> None:
        """Refuse whatever comes from now on; what is in flight goes on."""
        self.closed = True

    async def classify(
        self, *, id: str, model: str, version: int, image: bytes, options: Options, deadline: float, method: str
    ) -> Answer:
        """The answer to one picture. `deadline` in seconds of the monotonic clock; `method` names the call in metrics.

        Cancelling the awaiting task withdraws the request. Raises `BadImage`, `NoSuchModel`, `NotReady`,
        `Overloaded`, `TooLate` or `EngineFailed`.
        """
        started = self._now()
        known = ""
        code: Code | None = Code.FAILED
        try:
            key = self._admit(model, version)
            known = key.name
            inspect(image, self._limits)
            answer = await self._queue.submit(Request(id, key, image, options, deadline))
        except ServiceError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = Code.CANCELLED
            raise
        else:
            code = None
            return answer
        finally:
            self._emit(RequestDone(known, method, code, self._now() - started))

    def _admit(self, model: str, version: int) -> ModelKey:
        if self.closed:
            raise NotReady("the server is shutting down")
        return self._resolve(model, version)
