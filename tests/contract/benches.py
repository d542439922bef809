"""One queue with one open line, whatever lies beneath it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from service.core.admission import QueueLimits
from service.core.events import Event
from service.core.messages import (
    NEVER,
    Answer,
    Lease,
    ModelKey,
    Options,
    Outcome,
    Prediction,
    Priority,
    Request,
    Timing,
)
from service.core.ports import Submissions, Work
from service.queues.keys import Keys
from service.queues.leases import WorkerTimes
from service.queues.memory import MemoryQueue
from service.queues.redis_submissions import FrontEndTimes, RedisSubmissions
from service.queues.redis_url import Server
from service.queues.redis_work import RedisWork
from tests.engines import FakeEngine, tuned
from tests.waiting import overdue

MODEL = ModelKey("digits", 1)
LIMITS = QueueLimits(max_entries=4, max_bytes=1000)
ENGINE = FakeEngine(tuning=tuned(lanes=2, batch=4))

#: Brisk enough for tests; the proportions are those of the defaults.
FRONT_END = FrontEndTimes(patience_s=2.0, beat_s=0.05, life_s=3.0, away_s=1.0)
WORKER = WorkerTimes(patience_s=2.0, block_s=0.5, tick_s=0.05, beat_s=0.2, life_s=3.0, lease_s=3.0, stall_s=6.0)


def request(
    name: str,
    size: int = 10,
    deadline: float = NEVER,
    model: ModelKey = MODEL,
    priority: Priority = Priority.NORMAL,
) -> Request:
    """A request whose picture has `size` bytes."""
    return Request(name, model, b"x" * size, Options(), deadline, priority)


def answer(lease: Lease) -> Answer:
    """An answer that names the request it belongs to."""
    timing = Timing(0, 0, 0, 1, "cpu fp32")
    return Answer(lease.request.id, MODEL, "d", (Prediction(lease.request.id, 0, 1.0),), (), timing)


def everything(waiting: int) -> int:
    """A lane that takes all."""
    return waiting


async def until(condition: Callable[[], object], timeout_s: float = 10) -> None:
    """Wait until it holds."""
    latest = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > latest:
            raise TimeoutError(overdue(condition, timeout_s))
        await asyncio.sleep(0.005)


@dataclass
class Bench:
    """Both sides of one queue, and the events that they stated."""

    asking: Submissions
    work: Work
    events: list[Event] = field(default_factory=list)

    def submit(
        self,
        name: str,
        size: int = 10,
        deadline: float = NEVER,
        model: ModelKey = MODEL,
        priority: Priority = Priority.NORMAL,
    ) -> asyncio.Task[Answer]:
        """Submit in a task of its own."""
        return asyncio.create_task(self.asking.submit(request(name, size, deadline, model, priority)))

    async def queued(self, entries: int) -> None:
        """Wait until so many are admitted and unanswered."""
        await until(lambda: self.asking.depth(MODEL).entries == entries)

    async def lease(self, limit: Callable[[int], int] = everything) -> list[Lease]:
        """Lease once."""
        return list(await self.work.lease(MODEL, limit))

    async def leased(self, count: int) -> list[Lease]:
        """Lease until there are `count`."""
        leases: list[Lease] = []
        async with asyncio.timeout(10):
            while len(leases) < count:
                leases += await self.lease()
        return leases

    def settle(self, *leases: Lease) -> None:
        """Answer leases in the order given."""
        outcomes: list[tuple[Lease, Outcome]] = [(lease, answer(lease)) for lease in leases]
        self.work.settle(outcomes)

    async def works(self, seconds: float) -> None:
        """Let a lane take that long over what it has leased."""
        started = time.monotonic()
        await until(lambda: time.monotonic() - started >= seconds)


@asynccontextmanager
async def memory_bench() -> AsyncIterator[Bench]:
    """Everything in this process."""
    events: list[Event] = []
    queue = MemoryQueue(LIMITS, events.append)
    queue.open(MODEL, ENGINE)
    yield Bench(queue, queue, events)


@asynccontextmanager
async def redis_bench(server: Server, keys: Keys) -> AsyncIterator[Bench]:
    """A front-end and a worker that have only Redis in common."""
    events: list[Event] = []
    async with AsyncExitStack() as stack:
        work = await stack.enter_async_context(RedisWork(server, events.append, keys=keys, times=WORKER))
        work.open(MODEL, ENGINE)
        asking = await stack.enter_async_context(
            RedisSubmissions(server, LIMITS, events.append, keys=keys, times=FRONT_END)
        )
        await asyncio.wait_for(work.announced(MODEL), 10)
        yield Bench(asking, work, events)
