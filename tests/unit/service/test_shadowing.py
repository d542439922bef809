"""Copies of requests, behind what callers wait for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from service.core.errors import NotReady
from service.core.events import Compared, Event
from service.core.messages import Answer, ModelKey, Options, Prediction, Priority, Request, Timing
from service.core.ports import Depth
from service.core.routing import Record, Routing, Shadow
from service.routing.shadow import MAX_WAITING, Shadowing

TIMING = Timing(0, 0, 0, 1, "cpu fp32")
STABLE, CANARY = ModelKey("digits", 1), ModelKey("digits", 2)


@dataclass
class Queue:
    """The canary answers what it is told to, when it is told to."""

    canary: int | Exception = 7
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Request] = field(default_factory=list)

    async def submit(self, request: Request) -> Answer:
        self.asked.append(request)
        if request.model == STABLE:
            return self._answer(request, 7, 0.75)
        await self.gate.wait()
        if isinstance(self.canary, Exception):
            raise self.canary
        return self._answer(request, self.canary, 0.5)

    def depth(self, model: ModelKey) -> Depth:
        return Depth(model.version, 0)

    def _answer(self, request: Request, best: int, score: float) -> Answer:
        return Answer(request.id, request.model, "d", (Prediction(str(best), best, score),), (), TIMING)


@dataclass
class Bench:
    """Everything to `digits:1` is copied to `digits:2`."""

    queue: Queue = field(default_factory=Queue)
    events: list[Event] = field(default_factory=list)
    routing: Routing = field(default_factory=lambda: Routing({"canary": 2}, shadow=Shadow("canary")))
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def record(self, _model: str) -> Record:
        return Record(self.routing)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self.told.set()

    def shadowing(self) -> Shadowing:
        return Shadowing(self.queue, self.record, self.emit, now=lambda: 100.0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def request(model: ModelKey = STABLE) -> Request:
    return Request("a", model, b"picture", Options(top_k=1), deadline=101.0)


@pytest.mark.parametrize(
    ("canary", "told"),
    [
        (7, Compared(STABLE, CANARY, "a", "agreed", 0.25)),
        (3, Compared(STABLE, CANARY, "a", "disagreed", 0.0)),
        (NotReady("gone"), Compared(STABLE, CANARY, "a", "failed", reason="gone")),
    ],
)
async def test_a_copy_is_compared(bench: Bench, canary: int | Exception, told: Compared) -> None:
    """The caller has its answer before the copy has one; whatever becomes of the copy is an event."""
    bench.queue.canary = canary
    async with bench.shadowing() as shadowing:
        answer = await shadowing.submit(request())
        assert (answer.model, bench.events) == (STABLE, [])
        bench.queue.gate.set()
        await bench.told.wait()

    assert bench.events == [told]
    copy = bench.queue.asked[1]
    assert (copy.model, copy.priority, copy.deadline, copy.image) == (CANARY, Priority.BULK, 130.0, b"picture")


async def test_nothing_is_copied_that_the_shadow_answered(bench: Bench) -> None:
    """Nor anything while there is no shadow; depths are the queue's."""
    bench.queue.gate.set()
    async with bench.shadowing() as shadowing:
        await shadowing.submit(request(CANARY))
        bench.routing = Routing()
        await shadowing.submit(request())

    assert [asked.model for asked in bench.queue.asked] == [CANARY, STABLE]
    assert shadowing.depth(CANARY) == Depth(2, 0)


async def test_a_slow_shadow_is_left_behind(bench: Bench) -> None:
    """Only so many copies wait; the rest is counted as skipped, and the end does not wait for any."""
    async with bench.shadowing() as shadowing:
        for _ in range(MAX_WAITING + 3):
            await shadowing.submit(request())

    assert bench.events == [Compared(STABLE, CANARY, "a", "skipped")] * 3
