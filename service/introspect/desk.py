"""A few threads of low priority, and a short queue before them: looking in shall never move classification."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from service.core.allowance import Allowance
from service.core.errors import Overloaded, Reason
from service.core.events import Emit, LookedIn
from service.telemetry.outcomes import code_of

Result = TypeVar("Result")
Event = TypeVar("Event")

#: Added to the threads' niceness: a busy core gives them about a tenth of what a lane gets.
NICENESS = 10
#: Seconds of rest for each second of work while lanes are at work: even threads of low priority cost them their caches,
#: bandwidth and the interpreter's lock.
REST = 19
_PIECE_S = 0.005  #: of work, before it is worth a rest
_RETRY_AFTER_S = 1.0
_NAMED = 8


class Desk:
    """Runs what blocks, `threads` calls at a time; up to `max_waiting` more wait, others are told to come again.

    A caller that is named may ask no more often than the `allowance` says. On Linux the threads have a lower priority
    than the lanes, and a stream rests by `sleep` between its events while `busy` says that lanes are at work. Each
    question is told to `emit` when it ends. When nobody has asked for `rest_after_s`, `rest` runs on one of the
    threads. To be used on one event loop.
    """

    def __init__(
        self,
        threads: int = 2,
        max_waiting: int = 8,
        *,
        allowance: Allowance | None = None,
        now: Callable[[], float] = time.monotonic,
        emit: Emit | None = None,
        busy: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rest: Callable[[], object] | None = None,
        rest_after_s: float = 10.0,
    ) -> None:
        self._emit = emit
        self._busy = busy
        self._sleep = sleep
        self._rest = rest
        self._rest_after_s = rest_after_s
        self._resting: asyncio.TimerHandle | None = None
        self._pool = ThreadPoolExecutor(threads, "introspect", initializer=step_back)
        self._free = asyncio.Semaphore(threads)
        self._limit = threads + max_waiting
        self._admitted = 0
        self._allowance = allowance
        self._now = now

    async def run(self, work: Callable[[], Result], who: str = "") -> Result:
        """What `work` returns or raises. Raises `Overloaded` when too many wait, or `who` asks too often."""
        async with self._place(who):
            return await self._step(work)

    async def stream(self, events: Iterator[Event], who: str = "") -> AsyncGenerator[Event, None]:
        """The events, each computed when the last one was taken, so that whoever leaves stops the rest.

        The place is taken for the whole stream. Raises `Overloaded` like `run`.
        """
        unrested_s = 0.0
        async with self._place(who):
            while step := await self._step(lambda: _next(events)):
                event, worked_s = step
                yield event
                unrested_s += worked_s
                if unrested_s >= _PIECE_S:
                    await self._give_way(unrested_s)
                    unrested_s = 0.0

    def close(self) -> None:
        """Take no more work; what runs is finished."""
        self._rest = None
        self._rest_never()
        self._pool.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def _place(self, who: str) -> AsyncIterator[None]:
        started, ended = self._now(), None
        try:
            async with self._admitted_place(who):
                yield
        except BaseException as error:
            ended = error
            raise
        finally:
            if self._emit:
                self._emit(LookedIn(code_of(ended), self._now() - started))

    @asynccontextmanager
    async def _admitted_place(self, who: str) -> AsyncIterator[None]:
        self._check(who)
        if self._admitted >= self._limit:
            message = f"introspection: {self._limit} requests are being answered or waiting"
            raise Overloaded(Reason.FULL, message, _RETRY_AFTER_S)
        self._admitted += 1
        self._rest_never()
        try:
            async with self._free:
                yield
        finally:
            self._admitted -= 1
            self._rest_soon()

    def _rest_soon(self) -> None:
        if self._rest and not self._admitted:
            loop = asyncio.get_running_loop()
            self._resting = loop.call_later(self._rest_after_s, self._pool.submit, self._rest)

    def _rest_never(self) -> None:
        if self._resting:
            self._resting.cancel()
            self._resting = None

    def _check(self, who: str) -> None:
        """Raise `Overloaded` for a caller that asks too often; one without a name is the server itself."""
        if not who or self._allowance is None:
            return
        wait_s = self._allowance.take(who, self._now())
        if wait_s:
            message = f"introspection: {who} asks more than {self._allowance.per_minute} times a minute"
            raise Overloaded(Reason.FULL, message, wait_s)

    async def _give_way(self, worked_s: float) -> None:
        if self._busy():
            await self._sleep(worked_s * REST)

    async def _step(self, work: Callable[[], Result]) -> Result:
        """Work on a thread. A caller that leaves waits for it: the place is free only when the thread is."""
        done = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.gather(asyncio.shield(done), return_exceptions=True)
            raise


def named(layers: Sequence[str]) -> dict[str, object]:
    """Layers as a log line holds them: how many, and the names of the first."""
    return {"layers": len(layers), "names": [*layers[:_NAMED], *(["..."] if len(layers) > _NAMED else [])]}


def step_back() -> None:
    """Lower the priority of this thread; Linux counts it per thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _next(events: Iterator[Event]) -> tuple[Event, float] | None:
    """The next event, if there is one, and the seconds of this thread that it took."""
    started = time.thread_time()
    for event in events:
        return event, time.thread_time() - started
    return None
