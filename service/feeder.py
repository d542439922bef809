"""Durable work for the lanes of this process: leased where it is kept, and queued behind all that is asked online."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from service.catalog import Host
from service.core.errors import Overloaded, ServiceError
from service.core.messages import Lease, ModelKey, Outcome, Priority
from service.core.ports import Engine, Submissions, Work


class Feeder:
    """Carries leases of one model version from `kept` to `queue`, and their outcomes back."""

    def __init__(self, model: ModelKey, engine: Engine, kept: Work, queue: Submissions) -> None:
        self._model = model
        self._engine = engine
        self._kept = kept
        self._queue = queue
        # Two for each lane and two more, each with a batch: while one is computed the next one waits, and the outcomes
        # of those before are on their way to where they are kept.
        self._batch = engine.tuning.chosen.batch
        self._carriers = 2 * engine.tuning.chosen.lanes + 2
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Take what is kept for the model version from now on."""
        self._kept.open(self._model, self._engine)
        self._tasks = [asyncio.create_task(self._carry(), name=f"feeder {self._model}") for _ in range(self._carriers)]

    async def drain(self) -> None:
        """Take no more, and bring back what is under way."""
        self._kept.close(self._model)
        done, _ = await asyncio.wait(self._tasks)
        for task in done:
            task.result()

    async def _carry(self) -> None:
        while leases := await self._kept.lease(self._model, lambda waiting: min(waiting, self._batch)):
            outcomes = await asyncio.gather(*(self._outcome(lease) for lease in leases))
            self._kept.settle(list(zip(leases, outcomes, strict=True)))

    async def _outcome(self, lease: Lease) -> Outcome:
        request = replace(lease.request, priority=Priority.BULK)
        while True:
            try:
                return await self._queue.submit(request)
            except Overloaded as error:  # by online requests: this work has time
                await asyncio.sleep(error.retry_after_s)
            except ServiceError as error:
                return error


@dataclass(frozen=True, slots=True)
class Fed:
    """A version's lanes together with what feeds them."""

    lanes: Host
    feeder: Feeder

    def start(self) -> None:
        """Begin both."""
        self.lanes.start()
        self.feeder.start()

    async def drain(self) -> None:
        """The feeder first: what it carries needs the lanes."""
        await self.feeder.drain()
        await self.lanes.drain()
