"""What every queue owes both its sides, whatever lies beneath it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from service.core.admission import QueueLimits
from service.core.errors import EngineFailed, NotReady, Overloaded, Reason, TooLate
from service.core.events import Dropped, Event, Rejected
from service.core.messages import NEVER, Answer, Lease, ModelKey, Options, Outcome, Prediction, Request, Timing
from service.core.ports import Depth
from service.queues.memory import MemoryQueue

MODEL = ModelKey("digits", 1)
LIMITS = QueueLimits(max_entries=4, max_bytes=1000)


def request(name: str, size: int = 10, deadline: float = NEVER, model: ModelKey = MODEL) -> Request:
    """A request whose picture has `size` bytes."""
    return Request(name, model, b"x" * size, Options(), deadline)


def answer(lease: Lease) -> Answer:
    """An answer that names the request it belongs to."""
    timing = Timing(0, 0, 0, 1, "cpu fp32")
    return Answer(lease.request.id, MODEL, "d", (Prediction(lease.request.id, 0, 1.0),), (), timing)


def everything(waiting: int) -> int:
    """A lane that takes all."""
    return waiting


@dataclass
class Bench:
    """A queue with one open line, a clock that tests move, and the events it stated."""

    events: list[Event] = field(default_factory=list)
    time: float = 1000.0
    queue: MemoryQueue = field(init=False)

    def __post_init__(self) -> None:
        self.queue = MemoryQueue(LIMITS, self.events.append, lambda: self.time)
        self.queue.open(MODEL, lanes=2)

    def submit(self, name: str, **more: float) -> asyncio.Task[Answer]:
        """Submit in a task of its own."""
        return asyncio.create_task(self.queue.submit(request(name, **more)))  # type: ignore[arg-type]

    async def lease(self, limit: Callable[[int], int] = everything) -> list[Lease]:
        """Lease once."""
        return list(await self.queue.lease(MODEL, limit))

    def settle(self, *leases: Lease) -> None:
        """Answer leases in the order given."""
        outcomes: list[tuple[Lease, Outcome]] = [(lease, answer(lease)) for lease in leases]
        self.queue.settle(outcomes)


@pytest.fixture(params=["memory"])
async def bench() -> Bench:
    return Bench()


async def turn() -> None:
    """Let every task that can run do so, until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_answer_reaches_its_caller(bench: Bench) -> None:
    """Answers given in any order go to whoever asked."""
    first, second = bench.submit("first"), bench.submit("second")
    leases = await bench.lease()
    bench.settle(*reversed(leases))

    assert [(await first).id, (await second).id] == ["first", "second"]


async def test_the_oldest_is_leased_first(bench: Bench) -> None:
    """A limit takes from the front of the line."""
    tasks = [bench.submit(name) for name in "abc"]
    await turn()

    assert [lease.request.id for lease in await bench.lease(lambda _: 2)] == ["a", "b"]
    assert [lease.request.id for lease in await bench.lease()] == ["c"]
    for task in tasks:
        task.cancel()


async def test_an_idle_lane_is_woken_by_what_arrives(bench: Bench) -> None:
    """A lane that waits gets the request as soon as it comes."""
    lane = asyncio.create_task(bench.lease())
    await turn()
    asked = bench.submit("late riser")

    assert [lease.request.id for lease in await lane] == ["late riser"]
    asked.cancel()


async def test_a_lane_that_is_cancelled_while_it_is_woken_wakes_another(bench: Bench) -> None:
    """No request is stranded beside an idle lane."""
    first, second = asyncio.create_task(bench.lease()), asyncio.create_task(bench.lease())
    await turn()
    asked = asyncio.create_task(bench.queue.submit(request("a")))
    asyncio.get_running_loop().call_soon(first.cancel)

    assert [lease.request.id for lease in await second] == ["a"]
    assert first.cancelled()
    asked.cancel()


async def test_an_error_reaches_only_its_caller(bench: Bench) -> None:
    """One bad item fails, its neighbour is answered."""
    bad, good = bench.submit("bad"), bench.submit("good")
    leases = await bench.lease()
    bench.queue.settle([(leases[0], EngineFailed("broken")), (leases[1], answer(leases[1]))])

    with pytest.raises(EngineFailed, match="broken"):
        await bad
    assert (await good).id == "good"


async def test_a_caller_that_leaves_costs_its_neighbours_nothing(bench: Bench) -> None:
    """Of three requests in one batch the middle caller cancels; both others get their answers."""
    tasks = [bench.submit(name) for name in "abc"]
    leases = await bench.lease()
    tasks[1].cancel()
    await turn()

    assert [lease.gone for lease in leases] == [False, True, False]
    bench.settle(*leases)
    assert [(await tasks[0]).id, (await tasks[2]).id] == ["a", "c"]
    assert tasks[1].cancelled()


async def test_withdrawn_requests_are_never_leased(bench: Bench) -> None:
    """A caller that leaves while its request waits takes it along."""
    tasks = [bench.submit(name) for name in "ab"]
    await turn()
    tasks[0].cancel()
    await turn()

    assert [lease.request.id for lease in await bench.lease()] == ["b"]
    assert [Dropped(MODEL, "queue", expired=False)] == bench.events
    tasks[1].cancel()


async def test_expired_requests_are_never_leased(bench: Bench) -> None:
    """Past the deadline the caller is told, and no lane sees the request."""
    late, fresh = bench.submit("late", deadline=1060.0), bench.submit("fresh")
    await turn()
    bench.time = 1061.0

    assert [lease.request.id for lease in await bench.lease()] == ["fresh"]
    with pytest.raises(TooLate, match="deadline"):
        await late
    assert [Dropped(MODEL, "queue", expired=True)] == bench.events
    fresh.cancel()


async def test_the_caller_is_told_when_its_deadline_passes(bench: Bench) -> None:
    """Nobody needs to lease for that."""
    with pytest.raises(TooLate, match="deadline"):
        await bench.submit("a", deadline=1000.01)


async def test_a_full_line_sheds_by_entries(bench: Bench) -> None:
    """The fifth of at most four is refused at once with reason, limit and value."""
    tasks = [bench.submit(name) for name in "abcd"]
    await turn()

    with pytest.raises(Overloaded, match="at most 4 requests may wait, got 5") as caught:
        await bench.queue.submit(request("e"))
    assert caught.value.reason == Reason.FULL
    assert caught.value.retry_after_s > 0
    assert [Rejected("digits", Reason.FULL)] == bench.events
    for task in tasks:
        task.cancel()


async def test_a_full_line_sheds_by_bytes(bench: Bench) -> None:
    """Few large pictures fill a line too."""
    task = bench.submit("a", size=600)
    await turn()

    with pytest.raises(Overloaded, match="at most 1000 bytes may wait, got 1200") as caught:
        await bench.queue.submit(request("b", size=600))
    assert caught.value.reason == Reason.BYTES
    task.cancel()


async def test_a_request_that_would_be_late_is_refused(bench: Bench) -> None:
    """With the pace of the last batch known, a deadline before one's turn is refused at admission."""
    slow = bench.submit("slow")
    leases = await bench.lease()
    bench.time += 2.0
    bench.settle(*leases)
    await slow
    waiting = bench.submit("waiting")
    await turn()

    with pytest.raises(Overloaded, match=r"estimated wait of 1.00 s is longer than the 0.50 s left") as caught:
        await bench.queue.submit(request("hasty", deadline=bench.time + 0.5))
    assert caught.value.reason == Reason.LATE
    waiting.cancel()


async def test_nothing_is_kept_of_what_has_ended(bench: Bench) -> None:
    """Depth counts what waits and what runs, and returns to nothing."""
    answered, left = bench.submit("a"), bench.submit("b", size=30)
    leases = await bench.lease(lambda _: 1)

    assert Depth(2, 40) == bench.queue.depth(MODEL)
    bench.settle(*leases)
    left.cancel()
    await turn()
    assert (await answered).id == "a"
    assert Depth(0, 0) == bench.queue.depth(MODEL)


async def test_a_closed_line_admits_nothing_and_drains(bench: Bench) -> None:
    """What was admitted is leased and answered; then lanes are told to end."""
    asked = bench.submit("a")
    await turn()
    bench.queue.close(MODEL)

    with pytest.raises(NotReady, match="digits:1"):
        await bench.queue.submit(request("b"))
    leases = await bench.lease()
    bench.settle(*leases)
    assert (await asked).id == "a"
    assert await bench.lease() == []


async def test_closing_ends_every_idle_lane(bench: Bench) -> None:
    """Lanes that wait when the line is closed return empty-handed."""
    lanes = [asyncio.create_task(bench.lease()) for _ in range(3)]
    await turn()
    bench.queue.close(MODEL)

    assert await asyncio.gather(*lanes) == [[], [], []]


async def test_lines_are_apart(bench: Bench) -> None:
    """A request for one version is never leased for another."""
    other = ModelKey("digits", 2)
    bench.queue.open(other, lanes=1)
    asked = asyncio.create_task(bench.queue.submit(request("a", model=other)))
    mine = bench.submit("b")
    await turn()

    assert [lease.request.id for lease in await bench.lease()] == ["b"]
    asked.cancel()
    mine.cancel()
