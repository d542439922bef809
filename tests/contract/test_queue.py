"""What every queue owes both its sides, whatever lies beneath it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from service.core.errors import BadImage, EngineFailed, NotReady, Overloaded, Reason, TooLate
from service.core.events import Dropped, Rejected
from service.core.messages import ModelKey, Options, Priority, Request
from service.core.ports import Depth
from service.queues.keys import Keys
from service.queues.redis_url import parse
from tests.contract.benches import ENGINE, MODEL, Bench, answer, memory_bench, redis_bench, request, until
from tests.servers import KINDS
from tests.topologies import TOPOLOGIES


@pytest.fixture(params=["memory", *KINDS, *TOPOLOGIES])
async def bench(request: pytest.FixtureRequest, url_of: Callable[[str], str], prefix: str) -> AsyncIterator[Bench]:
    if request.param == "memory":
        async with memory_bench() as made:
            yield made
    else:
        keys = Keys(prefix)
        async with redis_bench(parse(url_of(request.param), keys.tag), keys) as made:
            yield made


async def test_an_answer_reaches_its_caller(bench: Bench) -> None:
    """Answers given in any order go to whoever asked."""
    first, second = bench.submit("first"), bench.submit("second")
    leases = await bench.leased(2)
    bench.settle(*reversed(leases))

    assert [(await first).id, (await second).id] == ["first", "second"]


async def test_a_request_arrives_as_it_was_sent(bench: Bench) -> None:
    """Picture, options and id are the caller's; the deadline is as far away as it was, but for the way."""
    deadline = time.monotonic() + 30
    asked = asyncio.create_task(
        bench.asking.submit(Request("ß", MODEL, bytes(range(256)), Options(3, 0.25, logits=True), deadline))
    )
    (lease,) = await bench.leased(1)

    assert (lease.request.id, lease.request.model, lease.request.image) == ("ß", MODEL, bytes(range(256)))
    assert lease.request.options == Options(3, 0.25, logits=True)
    assert lease.request.deadline == pytest.approx(deadline, abs=5)  # some ms; the machine may stand still
    assert 0 <= lease.waited_s < 5
    bench.settle(lease)
    await asked


async def test_the_oldest_is_leased_first(bench: Bench) -> None:
    """A limit takes from the front of the line."""
    tasks = []
    for count, name in enumerate("abc", 1):
        tasks.append(bench.submit(name))
        await bench.queued(count)

    assert [lease.request.id for lease in await bench.lease(lambda _: 2)] == ["a", "b"]
    assert [lease.request.id for lease in await bench.lease()] == ["c"]
    for task in tasks:
        task.cancel()


async def test_the_most_urgent_is_leased_first(bench: Bench) -> None:
    """Whatever came first: high before normal before bulk."""
    tasks = [bench.submit(priority.name, priority=priority) for priority in reversed(Priority)]
    await bench.queued(3)
    names = [lease.request.id for _ in tasks for lease in await bench.lease(lambda _: 1)]

    assert names == ["HIGH", "NORMAL", "BULK"]
    for task in tasks:
        task.cancel()


async def test_bulk_work_is_not_starved(bench: Bench) -> None:
    """With urgent work always at hand, bulk work still gets its turn, late."""
    bulk = bench.submit("bulk", priority=Priority.BULK)
    await bench.queued(1)
    turns = 0
    while not bulk.done():
        urgent = bench.submit("urgent", priority=Priority.HIGH)
        await bench.queued(2)
        bench.settle(*await bench.lease(lambda _: 1))
        await asyncio.wait([bulk, urgent], return_when=asyncio.FIRST_COMPLETED)
        turns += 1
        urgent.cancel()
        await until(lambda: bench.asking.depth(MODEL).entries == (0 if bulk.done() else 1))

    assert 1 < turns <= 40


async def test_an_idle_lane_is_woken_by_what_arrives(bench: Bench) -> None:
    """A lane that waits gets the request as soon as it comes."""
    lane = asyncio.create_task(bench.lease())
    await asyncio.sleep(0)
    asked = bench.submit("late riser")

    assert [lease.request.id for lease in await lane] == ["late riser"]
    asked.cancel()


async def test_a_lane_that_is_cancelled_while_it_is_woken_wakes_another(bench: Bench) -> None:
    """No request is stranded beside an idle lane."""
    first, second = asyncio.create_task(bench.lease()), asyncio.create_task(bench.lease())
    await asyncio.sleep(0)
    asked = bench.submit("a")
    asyncio.get_running_loop().call_soon(first.cancel)

    assert [lease.request.id for lease in await second] == ["a"]
    assert first.cancelled()
    asked.cancel()


async def test_idle_lanes_leave_the_processor_alone(bench: Bench) -> None:
    """Those that look in vain do not call each other to look again."""
    lanes = [asyncio.create_task(bench.lease()) for _ in range(3)]
    began = time.thread_time()
    await asyncio.sleep(0.5)
    spent_s = time.thread_time() - began
    for lane in lanes:
        lane.cancel()

    assert spent_s < 0.25


async def test_an_error_reaches_only_its_caller(bench: Bench) -> None:
    """One bad item fails, its neighbour is answered."""
    bad, good = bench.submit("bad"), bench.submit("good")
    leases = {lease.request.id: lease for lease in await bench.leased(2)}
    bench.work.settle([(leases["bad"], EngineFailed("broken")), (leases["good"], answer(leases["good"]))])

    with pytest.raises(EngineFailed, match="broken"):
        await bad
    assert (await good).id == "good"


async def test_what_is_wrong_with_a_picture_reaches_its_caller(bench: Bench) -> None:
    """Field, limit and value included."""
    asked = bench.submit("a")
    (lease,) = await bench.leased(1)
    bench.work.settle([(lease, BadImage("image", "a JPEG that is whole", "half of one"))])

    with pytest.raises(BadImage, match="image: a JPEG that is whole, got half of one") as caught:
        await asked
    assert (caught.value.field, caught.value.limit) == ("image", "a JPEG that is whole")


async def test_a_caller_that_leaves_costs_its_neighbours_nothing(bench: Bench) -> None:
    """Of three requests in one batch the middle caller cancels; both others get their answers."""
    tasks = {name: bench.submit(name) for name in "abc"}
    leases = await bench.leased(3)
    tasks["b"].cancel()
    await until(lambda: any(lease.gone for lease in leases))

    assert [lease.request.id for lease in leases if lease.gone] == ["b"]
    bench.settle(*leases)
    assert [(await tasks["a"]).id, (await tasks["c"]).id] == ["a", "c"]
    assert tasks["b"].cancelled()


async def test_withdrawn_requests_are_never_leased(bench: Bench) -> None:
    """A caller that leaves while its request waits takes it along."""
    tasks = [bench.submit(name) for name in "ab"]
    await bench.queued(2)
    tasks[0].cancel()
    await bench.queued(1)

    assert [lease.request.id for lease in await bench.lease()] == ["b"]
    await until(lambda: bench.events == [Dropped(MODEL, "queue", expired=False)])
    tasks[1].cancel()


async def test_expired_requests_are_never_leased(bench: Bench) -> None:
    """Past the deadline the caller is told, and no lane sees the request."""
    late, fresh = bench.submit("late", deadline=time.monotonic() + 0.5), bench.submit("fresh")
    with pytest.raises(TooLate, match="deadline"):
        await late

    assert [lease.request.id for lease in await bench.leased(1)] == ["fresh"]
    await until(lambda: bench.events == [Dropped(MODEL, "queue", expired=True)])
    fresh.cancel()


async def test_a_full_line_sheds_by_entries(bench: Bench) -> None:
    """The fifth of at most four is refused at once with reason, limit and value."""
    tasks = [bench.submit(name) for name in "abcd"]
    await bench.queued(4)

    with pytest.raises(Overloaded, match="at most 4 requests may wait, got 5") as caught:
        await bench.asking.submit(request("e"))
    assert caught.value.reason == Reason.FULL
    assert caught.value.retry_after_s > 0
    assert [Rejected("digits", Reason.FULL)] == bench.events
    for task in tasks:
        task.cancel()


async def test_bulk_work_shuts_nobody_out(bench: Bench) -> None:
    """A line that is full of it takes no more of it, and what is asked online all the same."""
    bulk = [bench.submit(str(n), priority=Priority.BULK) for n in range(4)]
    await bench.queued(4)

    with pytest.raises(Overloaded, match="at most 4 requests may wait, got 5"):
        await bench.submit("more", priority=Priority.BULK)
    online = bench.submit("online")
    await bench.queued(5)
    for task in (*bulk, online):
        task.cancel()


async def test_online_requests_and_bulk_work_share_no_batch(bench: Bench) -> None:
    """Whoever asks online waits for the whole batch: it is not filled up with what has time."""
    tasks = [bench.submit(str(n), priority=Priority.BULK) for n in range(2)]
    await bench.queued(2)
    tasks.append(bench.submit("online"))
    await bench.queued(3)

    assert [lease.request.id for lease in await bench.lease()] == ["online"]
    assert [lease.request.id for lease in await bench.leased(2)] == ["0", "1"]
    for task in tasks:
        task.cancel()


async def test_a_full_line_sheds_by_bytes(bench: Bench) -> None:
    """Few large pictures fill a line too."""
    task = bench.submit("a", size=600)
    await bench.queued(1)

    with pytest.raises(Overloaded, match="at most 1000 bytes may wait, got 1200") as caught:
        await bench.asking.submit(request("b", size=600))
    assert caught.value.reason == Reason.BYTES
    task.cancel()


async def test_a_request_that_would_be_late_is_refused(bench: Bench) -> None:
    """With the pace of the last batch known, a deadline before one's turn is refused at admission."""
    slow = bench.submit("slow")
    leases = await bench.leased(1)
    await bench.works(1.0)
    bench.settle(*leases)
    await slow
    waiting = bench.submit("waiting")
    await bench.queued(1)

    with pytest.raises(Overloaded, match=r"estimated wait of \d\.\d\d s is longer than the 0\.\d\d s left") as caught:
        await bench.asking.submit(request("hasty", deadline=time.monotonic() + 0.4))
    assert caught.value.reason == Reason.LATE
    waiting.cancel()


async def test_bulk_work_makes_nobody_urgent_late(bench: Bench) -> None:
    """The wait that counts is that behind work as urgent as one's own."""
    slow = bench.submit("slow")
    leases = await bench.leased(1)
    await bench.works(1.0)
    bench.settle(*leases)
    await slow
    tasks = [bench.submit("bulk", priority=Priority.BULK), bench.submit("more", priority=Priority.BULK)]
    await bench.queued(2)
    hasty = bench.submit("hasty", deadline=time.monotonic() + 0.9, priority=Priority.HIGH)
    await bench.queued(3)

    assert [lease.request.id for lease in await bench.lease(lambda _: 1)] == ["hasty"]
    for task in (*tasks, hasty):
        task.cancel()


async def test_nothing_is_kept_of_what_has_ended(bench: Bench) -> None:
    """Depth counts what waits and what runs, and returns to nothing."""
    answered, left = bench.submit("a"), bench.submit("b", size=30)
    leases = {lease.request.id: lease for lease in await bench.leased(2)}

    await until(lambda: bench.asking.depth(MODEL) == Depth(2, 40))
    bench.settle(leases["a"])
    left.cancel()
    assert (await answered).id == "a"
    await until(lambda: bench.asking.depth(MODEL) == Depth(0, 0))
    bench.settle(leases["b"])


async def test_a_closed_line_admits_nothing_and_drains(bench: Bench) -> None:
    """What was admitted is leased and answered; then lanes are told to end."""
    asked = bench.submit("a")
    await bench.queued(1)
    bench.work.close(MODEL)
    leases = await bench.leased(1)

    with pytest.raises((NotReady, Overloaded), match=r"digits:1|no worker") as caught:
        await bench.asking.submit(request("b"))
    assert not isinstance(caught.value, Overloaded) or caught.value.reason == Reason.NO_WORKERS
    bench.settle(*leases)
    assert (await asked).id == "a"
    assert await bench.lease() == []


async def test_closing_ends_every_idle_lane(bench: Bench) -> None:
    """Lanes that wait when the line is closed return empty-handed."""
    lanes = [asyncio.create_task(bench.lease()) for _ in range(3)]
    await asyncio.sleep(0)
    bench.work.close(MODEL)

    assert await asyncio.gather(*lanes) == [[], [], []]


async def test_a_line_can_be_opened_again(bench: Bench) -> None:
    """A model version that is unloaded and loaded again is served again."""
    bench.work.close(MODEL)
    assert await bench.lease() == []
    bench.work.open(MODEL, ENGINE)
    while True:
        asked = bench.submit("a")
        lane = asyncio.create_task(bench.lease())
        await asyncio.wait([asked, lane], return_when=asyncio.FIRST_COMPLETED)
        lane.cancel()
        if lane.done():
            break

    bench.settle(*await lane)
    assert (await asked).id == "a"


async def test_lines_are_apart(bench: Bench) -> None:
    """A request for one version is never leased for another."""
    other = ModelKey("digits", 2)
    bench.work.open(other, ENGINE)
    lane = asyncio.create_task(bench.work.lease(other, lambda waiting: waiting))
    mine = bench.submit("b")

    assert [lease.request.id for lease in await bench.leased(1)] == ["b"]
    assert not lane.done()
    lane.cancel()
    mine.cancel()
