"""Lanes at work on a queue in the process, with an engine that can be held."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from service.core.admission import QueueLimits
from service.core.errors import EngineFailed, NotReady
from service.core.events import BatchTaken, Dropped, Event
from service.core.image import Limits
from service.core.messages import NEVER, Answer, ModelKey, Options, Request
from service.lane import Lane
from service.queues.memory import MemoryQueue
from service.worker import Worker
from tests.engines import FakeEngine, tuned
from tests.unit.service.pictures import DARK, LIGHT

MODEL = ModelKey("tiny", 1)


@dataclass
class Bench:
    """One worker on one queue."""

    engine: FakeEngine
    ahead: int = 0
    events: list[Event] = field(default_factory=list)
    queue: MemoryQueue = field(init=False)
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.queue = MemoryQueue(QueueLimits(), self.events.append)
        lane = Lane(MODEL, self.engine, Limits(), self.events.append)
        self.worker = Worker(MODEL, self.engine, self.queue, lane, self.events.append, ahead=self.ahead)

    def ask(self, name: str, image: bytes = LIGHT) -> asyncio.Task[Answer]:
        """Submit in a task of its own."""
        return asyncio.create_task(self.queue.submit(Request(name, MODEL, image, Options(), NEVER)))

    async def runs(self, count: int) -> None:
        """Wait until `count` more runs of the engine have begun."""
        for _ in range(count):
            assert await asyncio.to_thread(self.engine.started.acquire, timeout=30)


def bench(lanes: int, batch: int, ahead: int = 0, provider: str = "cpu") -> Bench:
    """A worker with a tuning, at work."""
    made = Bench(FakeEngine(tuning=tuned(lanes, batch, provider)), ahead)
    made.worker.start()
    return made


async def test_requests_are_answered_until_the_line_is_drained() -> None:
    """Draining answers everything that was admitted, then ends the lanes."""
    work = bench(lanes=2, batch=4)
    asked = [work.ask(str(n), LIGHT if n % 2 else DARK) for n in range(20)]
    await asyncio.sleep(0)
    await work.worker.drain()

    answers = [await task for task in asked]
    assert [answer.predictions[0].label for answer in answers] == ["dark", "light"] * 10
    with pytest.raises(NotReady):
        await work.queue.submit(Request("after", MODEL, LIGHT))


async def test_a_queue_is_busy_until_everything_is_answered() -> None:
    """Waiting and being computed are the same to whoever gives way."""
    work = bench(lanes=1, batch=1)
    work.engine.hold()
    before = work.queue.busy()
    asked = [work.ask(str(n)) for n in range(2)]
    await work.runs(1)
    meanwhile = work.queue.busy()
    work.engine.release()
    await asyncio.gather(*asked)

    assert (before, meanwhile, work.queue.busy()) == (False, True, False)
    await work.worker.drain()


async def test_idle_lanes_share_what_arrives_together() -> None:
    """Eight requests at once and two idle lanes: four each, not eight and none."""
    work = bench(lanes=2, batch=8)
    work.engine.hold()
    asked = [work.ask(str(n)) for n in range(8)]
    await work.runs(2)
    work.engine.release()
    await asyncio.gather(*asked)
    await work.worker.drain()

    assert work.engine.batches == [4, 4]


async def test_a_lane_takes_its_best_batch_of_what_has_gathered() -> None:
    """What came in while the lane was busy leaves in full batches."""
    work = bench(lanes=1, batch=4)
    work.engine.hold()
    first = work.ask("first")
    await work.runs(1)
    rest = [work.ask(str(n)) for n in range(6)]
    await asyncio.sleep(0)
    work.engine.release()
    await asyncio.gather(first, *rest)
    await work.worker.drain()

    assert work.engine.batches == [1, 4, 2]


async def test_a_single_request_never_waits_for_company() -> None:
    """An idle lane runs what is there."""
    work = bench(lanes=2, batch=16)
    answer = await work.ask("alone")
    await work.worker.drain()

    assert answer.timing.batch_size == 1


async def test_a_request_by_itself_may_have_all_cores() -> None:
    """One picture while every other lane is idle is run as alone; beside another one it is not, and no pair is."""
    work = bench(lanes=2, batch=4)
    await work.ask("by itself")
    work.engine.hold()
    first = work.ask("first")
    await work.runs(2)
    second = work.ask("beside the first")
    await work.runs(1)
    work.engine.release()
    await asyncio.gather(first, second)
    await work.worker.drain()

    assert sorted(work.engine.alone) == [False, True, True]


async def test_a_caller_that_cancels_mid_run_costs_its_neighbours_nothing() -> None:
    """Three requests in one batch, the second caller leaves while the engine runs; the others are answered."""
    work = bench(lanes=1, batch=4)
    work.engine.hold()
    asked = [work.ask(name) for name in "abc"]
    await work.runs(1)
    asked[1].cancel()
    await asyncio.wait([asked[1]])
    work.engine.release()

    assert [(await asked[0]).id, (await asked[2]).id] == ["a", "c"]
    await work.worker.drain()


async def test_cancelled_work_is_never_computed() -> None:
    """Of ten waiting requests eight callers leave: the engine sees the two that stayed."""
    work = bench(lanes=1, batch=16)
    work.engine.hold()
    blocker = work.ask("blocker")
    await work.runs(1)
    asked = [work.ask(str(n)) for n in range(10)]
    await asyncio.sleep(0)
    for task in asked[:8]:
        task.cancel()
    await asyncio.wait(asked[:8])
    work.engine.release()
    await asyncio.gather(blocker, *asked[8:])
    await work.worker.drain()

    assert work.engine.computed == 3
    assert work.events.count(Dropped(MODEL, "queue", expired=False)) == 8


async def test_a_batch_taken_ahead_begins_while_the_event_loop_is_busy() -> None:
    """The lane that ends its batch finds the next one in its hands."""
    work = bench(lanes=1, batch=4, ahead=1)
    work.engine.hold()
    asked = [work.ask("first")]
    await work.runs(1)
    asked += [work.ask(str(n)) for n in range(4)]
    while sum(isinstance(event, BatchTaken) for event in work.events) < 2:
        await asyncio.sleep(0)

    work.engine.release()
    assert work.engine.started.acquire(timeout=30)  # this blocks the loop
    await asyncio.gather(*asked)
    await work.worker.drain()

    assert work.engine.batches == [1, 4]


async def test_less_than_a_batch_is_not_taken_ahead() -> None:
    """It may still grow while the lane computes."""
    work = bench(lanes=1, batch=4, ahead=1)
    work.engine.hold()
    asked = [work.ask("first")]
    await work.runs(1)
    for name in "abc":
        asked.append(work.ask(name))
        await asyncio.sleep(0)
    work.engine.release()
    await asyncio.gather(*asked)
    await work.worker.drain()

    assert work.engine.batches == [1, 3]


async def test_where_the_provider_computes_elsewhere_two_hands_serve_a_lane() -> None:
    """While one batch is computed the next one is decoded and handed in; each hand gets its portion."""
    work = bench(lanes=1, batch=4, ahead=1, provider="openvino")
    work.engine.hold()
    asked = [work.ask(str(n)) for n in range(6)]
    await work.runs(2)
    work.engine.release()
    await asyncio.gather(*asked)
    await work.worker.drain()

    assert work.engine.batches == [3, 3]


async def test_draining_does_not_wait_for_company() -> None:
    """Half a batch that waits when the line is closed is computed, and every task of the worker ends."""
    work = bench(lanes=2, batch=8, ahead=1)
    work.engine.hold()
    asked = [work.ask("first"), work.ask("second")]
    await work.runs(2)
    asked += [work.ask(name) for name in "abc"]
    await asyncio.sleep(0)
    draining = asyncio.create_task(work.worker.drain())
    await asyncio.sleep(0)
    work.engine.release()

    assert len(await asyncio.gather(*asked)) == 5
    await asyncio.wait_for(draining, 30)


async def test_waiting_for_a_lane_is_no_service_time() -> None:
    """What was taken ahead took as long as it was computed, or everybody behind it would look late."""
    events: list[Event] = []
    queue = MemoryQueue(QueueLimits(), events.append, now=lambda: 100.0)
    queue.open(MODEL, FakeEngine())
    asked = asyncio.create_task(queue.submit(Request("a", MODEL, LIGHT)))
    (lease,) = await queue.lease(MODEL, lambda waiting: waiting)
    lease.begun_s = 99.5
    queue.settle([(lease, EngineFailed("it broke"))])

    assert queue._lines[MODEL].backlog.pace.service_s == pytest.approx(0.5)
    with pytest.raises(EngineFailed):
        await asked
