"""The working side: lanes that lease what waits, compute it in their threads, and settle it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from service.core.events import BatchTaken, Emit
from service.core.messages import ModelKey
from service.core.ports import Engine, Work
from service.core.share import bound, portion, share
from service.lane import Batches


class Worker:
    """Serves one model version from a queue, one thread per lane, until its line is closed and drained.

    While every lane computes, each hand beyond the lanes has a batch as well, and up to `ahead` more are leased: a
    thread that ends one goes on with the next without waiting for the event loop. What is taken beyond the lanes is
    worth it, or left to grow (`portion`). With 0 `ahead`, for a queue that other processes share, every hand takes what
    it can get: only the queue in this process lets it wait for more.
    """

    def __init__(
        self, model: ModelKey, engine: Engine, work: Work, lane: Batches, emit: Emit, *, ahead: int = 0
    ) -> None:
        self._model = model
        self._emit = emit
        self._engine = engine
        self._work = work
        self._lane = lane
        chosen = engine.tuning.chosen
        self._batch = chosen.batch
        self._hands = chosen.hands
        self._lanes = chosen.lanes if ahead else chosen.hands
        self._ahead = ahead
        self._busy = 0  #: batches that are taken and not settled
        self._held = 0  #: requests in them
        self._threads = ThreadPoolExecutor(self._hands, thread_name_prefix=f"lane {model}")
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Open the model's line and put the lanes to work on it."""
        self._work.open(self._model, self._engine)
        tasks = range(self._hands + self._ahead)
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
            return share(count, self._lanes - self._busy, self._best(count))

        while leases := await self._work.lease(self._model, limit):
            self._emit(BatchTaken(self._model, len(leases), bound(waiting, len(leases), self._batch)))
            waiting = 0
            self._busy += 1
            self._held += len(leases)
            alone = self._busy == self._held == 1
            outcomes = await loop.run_in_executor(self._threads, partial(self._lane.classify, leases, alone=alone))
            self._busy -= 1
            self._held -= len(leases)
            self._work.settle(outcomes)

    def _best(self, waiting: int) -> int:
        """The largest batch to take now."""
        if self._hands > self._lanes:
            return portion(waiting + self._held, self._hands, self._batch)
        return self._batch
