"""The working side: lanes that lease what waits, compute it in their threads, and settle it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from service.core.events import BatchTaken, Emit
from service.core.messages import ModelKey
from service.core.ports import Engine, Work
from service.core.share import bound, share
from service.lane import Batches


class Worker:
    """Serves one model version from a queue, one thread per lane, until its line is closed and drained.

    While every lane computes, up to `ahead` full batches are leased already: a thread that ends one goes on with the
    next without waiting for the event loop. 0 for a queue that other processes share: their idle lanes would rather
    have them, and only the queue in this process lets a lane wait for a whole batch.
    """

    def __init__(
        self, model: ModelKey, engine: Engine, work: Work, lane: Batches, emit: Emit, *, ahead: int = 0
    ) -> None:
        self._model = model
        self._emit = emit
        self._engine = engine
        self._work = work
        self._lane = lane
        self._batch = engine.tuning.chosen.batch
        self._lanes = self._idle = engine.tuning.chosen.lanes  # `_idle` is below 0 by the batches taken ahead
        self._ahead = ahead
        self._threads = ThreadPoolExecutor(self._lanes, thread_name_prefix=f"lane {model}")
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Open the model's line and put the lanes to work on it."""
        self._work.open(self._model, self._engine)
        tasks = range(self._lanes + self._ahead)
        self._tasks = [asyncio.create_task(self._run(), name=f"lane {self._model}/{n}") for n in tasks]

    async def drain(self) -> None:
        """Close the line, answer what is in it, and end the lanes."""
        self._work.close(self._model)
        # Unlike `gather`, `wait` leaves the lanes alone when whoever drains is cancelled.
        done, _ = await asyncio.wait(self._tasks)
        self._threads.shutdown()
        for task in done:
            task.result()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        waiting = 0

        def limit(count: int) -> int:
            nonlocal waiting
            waiting = count
            return share(count, self._idle, self._batch)

        while leases := await self._work.lease(self._model, limit):
            self._emit(BatchTaken(self._model, len(leases), bound(waiting, len(leases), self._batch)))
            waiting = 0
            self._idle -= 1
            alone = len(leases) == 1 and self._idle == self._lanes - 1
            outcomes = await loop.run_in_executor(self._threads, partial(self._lane.classify, leases, alone=alone))
            self._idle += 1
            self._work.settle(outcomes)
