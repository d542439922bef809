"""What the cache in front of the queue computes, and what it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from service.caching import CachedSubmissions
from service.core.caching import Answers
from service.core.errors import Overloaded, Reason, TooLate
from service.core.events import CacheAsked, Event
from service.core.messages import NEVER, Answer, ModelKey, Options, Prediction, Priority, Request, Timing
from service.core.ports import Depth

KEY = ModelKey("digits", 1)
TIMING = Timing(1, 2, 3, 4, "cpu fp32")
CACHED = Timing(0, 0, 0, 0, "cache")


@dataclass
class Queue:
    """Answers when it is let; notes what was asked, and whether it was withdrawn."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Exception] = field(default_factory=list)
    digest: str = "d1"
    asked: list[Request] = field(default_factory=list)
    withdrawn: int = 0

    async def submit(self, request: Request) -> Answer:
        self.asked.append(request)
        try:
            async with asyncio.timeout(None if request.deadline == NEVER else request.deadline - time.monotonic()):
                await self.gate.wait()
        except TimeoutError:
            raise TooLate("queue: too late") from None
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise
        if self.failures:
            raise self.failures.pop()
        return Answer(request.id, request.model, self.digest, (Prediction("nine", 9, 0.5),), (), TIMING)

    def depth(self, model: ModelKey) -> Depth:
        return Depth(model.version, 0)


@dataclass
class Second:
    """What other front-ends have answered."""

    kept: dict[bytes, Answer] = field(default_factory=dict)

    async def get(self, key: bytes) -> Answer | None:
        return self.kept.get(key)

    async def put(self, key: bytes, answer: Answer) -> None:
        self.kept[key] = answer


@dataclass
class Bench:
    queue: Queue = field(default_factory=Queue)
    second: Second = field(default_factory=Second)
    events: list[Event] = field(default_factory=list)
    served: str = "d1"

    def cached(self) -> CachedSubmissions:
        """One front-end's cache."""
        kept = Answers(1 << 20, ttl_s=60)
        return CachedSubmissions(self.queue, lambda _: self.served, kept, self.events.append, shared=self.second)

    @property
    def outcomes(self) -> list[str]:
        return [event.outcome for event in self.events if isinstance(event, CacheAsked)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Turn by turn, until it holds."""
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def request(id: str = "a", image: bytes = b"picture", **more: object) -> Request:
    return Request(id, KEY, image, **more)  # type: ignore[arg-type]  # of the fields that tests set


async def test_what_was_answered_is_not_computed_again(bench: Bench) -> None:
    """The second caller gets it under its own id, and can see where it came from."""
    bench.queue.gate.set()
    cached = bench.cached()
    first, second = await cached.submit(request("a")), await cached.submit(request("b"))

    assert (first.id, first.timing) == ("a", TIMING)
    assert second == replace(first, id="b", timing=CACHED)
    assert (len(bench.queue.asked), bench.outcomes) == (1, ["miss", "hit"])
    assert cached.depth(KEY) == Depth(1, 0)


async def test_other_options_are_another_question(bench: Bench) -> None:
    """As are other bytes, and another file of the same version."""
    bench.queue.gate.set()
    cached = bench.cached()
    await cached.submit(request())
    await cached.submit(request(options=Options(top_k=1)))
    await cached.submit(request(image=b"another"))
    bench.served = bench.queue.digest = "d2"
    await cached.submit(request())

    assert bench.outcomes == ["miss"] * 4


async def test_what_is_asked_at_once_is_computed_once(bench: Bench) -> None:
    """A hundred callers of one picture make one request; each has its own id."""
    cached = bench.cached()
    callers = [asyncio.create_task(cached.submit(request(str(number)))) for number in range(100)]
    await bench.until(lambda: bool(bench.queue.asked))
    bench.queue.gate.set()
    answers = await asyncio.gather(*callers)

    assert [answer.id for answer in answers] == [str(number) for number in range(100)]
    assert len(bench.queue.asked) == 1
    assert sorted(bench.outcomes) == ["joined"] * 99 + ["miss"]


async def test_who_leaves_costs_the_others_nothing(bench: Bench) -> None:
    """Not even when it is the one that came first; when all have left, the request is withdrawn."""
    cached = bench.cached()
    callers = [asyncio.create_task(cached.submit(request(str(number)))) for number in range(3)]
    await bench.until(lambda: bool(bench.queue.asked))
    callers[0].cancel()
    await asyncio.wait(callers[:1])
    assert bench.queue.withdrawn == 0
    bench.queue.gate.set()
    assert [answer.id for answer in await asyncio.gather(*callers[1:])] == ["1", "2"]

    bench.queue.gate.clear()
    left = [asyncio.create_task(cached.submit(request(image=b"other"))) for _ in range(2)]
    await bench.until(lambda: len(bench.queue.asked) == 2)
    for caller in left:
        caller.cancel()
    await asyncio.wait(left)
    await bench.until(lambda: bench.queue.withdrawn == 1)


async def test_an_error_is_told_to_all_and_never_kept(bench: Bench) -> None:
    """Whoever asks afterwards has another chance."""
    bench.queue.failures = [Overloaded(Reason.FULL, "full", 1.0)]
    cached = bench.cached()
    callers = [asyncio.create_task(cached.submit(request())) for _ in range(2)]
    await bench.until(lambda: bool(bench.queue.asked))
    bench.queue.gate.set()
    results = await asyncio.gather(*callers, return_exceptions=True)

    assert [type(result) for result in results] == [Overloaded, Overloaded]
    assert (await cached.submit(request())).timing == TIMING
    assert bench.second.kept != {}
    assert len(bench.queue.asked) == 2


async def test_a_deadline_is_the_callers_own(bench: Bench) -> None:
    """Who joined somebody less patient asks again; who is less patient than the first leaves in time."""
    cached = bench.cached()
    hurried = asyncio.create_task(cached.submit(request(deadline=time.monotonic() + 0.05)))
    await bench.until(lambda: bool(bench.queue.asked))
    patient = asyncio.create_task(cached.submit(request("b")))
    with pytest.raises(TooLate):
        await hurried
    await bench.until(lambda: len(bench.queue.asked) == 2)
    with pytest.raises(TooLate, match="before the same picture was answered for somebody else"):
        await cached.submit(request("c", deadline=time.monotonic() + 0.01))
    bench.queue.gate.set()

    assert (await patient).timing == TIMING
    assert bench.outcomes == ["miss"]


async def test_nobody_urgent_waits_with_work_that_has_time(bench: Bench) -> None:
    """The same picture in bulk and online: two requests, each with its own priority."""
    cached = bench.cached()
    both = [asyncio.create_task(cached.submit(request(priority=each))) for each in (Priority.BULK, Priority.HIGH)]
    await bench.until(lambda: len(bench.queue.asked) == 2)
    bench.queue.gate.set()
    await asyncio.gather(*both)

    assert [asked.priority for asked in bench.queue.asked] == [Priority.BULK, Priority.HIGH]


async def test_front_ends_share_what_they_answered(bench: Bench) -> None:
    """The second one finds it behind its own memory, and then in it."""
    bench.queue.gate.set()
    await bench.cached().submit(request())
    another = bench.cached()
    await another.submit(request())
    await another.submit(request())

    assert bench.outcomes == ["miss", "shared", "hit"]


async def test_a_file_that_changed_meanwhile_is_not_mistaken(bench: Bench) -> None:
    """The answer is another file's than the key's: it is given, and not kept. Without a file nothing is."""
    bench.queue.gate.set()
    bench.queue.digest = "d2"
    cached = bench.cached()
    await cached.submit(request())
    await cached.submit(request())
    bench.served = ""
    await cached.submit(request())

    assert (bench.outcomes, len(bench.queue.asked), bench.second.kept) == (["miss", "miss"], 3, {})
