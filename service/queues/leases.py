"""What one worker holds of one model version's work. Decisions only: the time is an argument."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from service.core.admission import Pace
from service.core.messages import Lease, ModelKey, Priority, Request
from service.core.turns import Courtesy, Turns
from service.queues.envelope import Work
from service.queues.server_clock import ServerClock


@dataclass(frozen=True, slots=True)
class WorkerTimes:
    """How a worker keeps in touch with Redis, in seconds; and how many deaths make a request a dead letter."""

    patience_s: float = 5.0  #: for one reply of Redis
    block_s: float = 2.0  #: longest blocking read
    tick_s: float = 0.1  #: between two looks at what others left behind
    beat_s: float = 1.0  #: between two signs of life
    life_s: float = 3.0  #: without a sign of life the worker counts as dead
    lease_s: float = 15.0  #: a lease that is not renewed ends
    stall_s: float = 30.0  #: leases are not renewed while nothing has been finished for so long
    keep_answers_s: float = 30.0  #: how long computed answers wait for a Redis that is away
    leave_s: float = 2.0  #: how long a worker that stops waits for it
    max_deaths: int = 3


@dataclass(slots=True, eq=False)
class Held:
    """One lease, from its delivery until Redis has taken its outcome."""

    work: Work
    lease: Lease
    priority: Priority
    renewed_s: float
    started_s: float = 0.0  #: when it was handed to a lane
    alone: bool = False  #: a suspect: nothing else runs beside it
    lost: bool = False  #: somebody else has it by now

    def fill(self, image: bytes) -> None:
        """The picture that the request was waiting for."""
        self.work = replace(self.work, image=image)
        self.lease.request = replace(self.lease.request, image=image)


class Shelf:
    """What is leased: `held` is all of it, by entry; some of it still waits here for a lane."""

    def __init__(self, model: ModelKey, clock: ServerClock, courtesy: Courtesy) -> None:
        self._model = model
        self._clock = clock
        self._courtesy = courtesy
        self._ready = Turns[Held](courtesy)
        self.pace = Pace()
        self.held: dict[bytes, Held] = {}

    @property
    def waiting(self) -> int:
        """How many wait for a lane."""
        return len(self._ready)

    def waiting_of(self, priorities: Sequence[Priority]) -> int:
        """How many of these do."""
        return self._ready.count(priorities)

    def hold(self, work: Work, priority: Priority, now: float) -> Held:
        """A lease that was just delivered."""
        self._courtesy.asked(priority, now)
        deadline = self._clock.local(work.deadline_ms)
        request = Request(work.id, self._model, work.image, work.options, deadline, priority, work.trace)
        lease = Lease(request, max(0.0, now - self._clock.local(work.queued_ms)))
        held = Held(work, lease, priority, renewed_s=now)
        lease.token = held
        self.held[work.entry] = held
        return held

    def shelve(self, held: Held) -> None:
        """Let it wait for a lane."""
        self._ready.add(held, held.priority)

    def take(self, limit: Callable[[int], int], now: float) -> list[Held]:
        """`limit(count)` of the `count` that go first and may share a batch."""
        return self._ready.take(limit, now, self.pace.service_s)

    def drop(self, helds: Iterable[Held]) -> None:
        """These are finished, or somebody else's."""
        for held in helds:
            self.held.pop(held.work.entry, None)

    def entries(self) -> list[bytes]:
        """Everything that is held."""
        return list(self.held)

    def of(self, priority: Priority, now: float, age_s: float) -> list[Held]:
        """What was held `age_s` seconds ago already."""
        return [h for h in self.held.values() if h.priority == priority and now - h.renewed_s >= age_s]


class Gate:
    """Lets a suspect run alone in this process, so that a crash blames nobody else."""

    def __init__(self) -> None:
        self._running = 0
        self._alone = False
        self._changed = asyncio.Event()

    async def passable(self) -> None:
        """Wait until nothing runs alone, nor wants to."""
        while self._alone:
            await self._changed.wait()

    async def close(self) -> None:
        """Wait until nothing runs, and let nothing start."""
        while self._alone:
            await self._changed.wait()
        self._alone = True
        try:
            while self._running:
                await self._changed.wait()
        except asyncio.CancelledError:
            self.reopen()
            raise

    def reopen(self) -> None:
        """Let others start again."""
        self._alone = False
        self._notify()

    def start(self, helds: Sequence[Held], now: float) -> None:
        """These go to a lane."""
        self._running += len(helds)
        for held in helds:
            held.started_s = now

    def end(self, helds: Sequence[Held]) -> None:
        """These come from a lane."""
        self._running -= len(helds)
        if any(held.alone for held in helds):
            self._alone = False
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed.clear()
