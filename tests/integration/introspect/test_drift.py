"""The watch beside a lane: it never holds a lane up, and what it cannot do it tells."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import structlog

from service.core.drift import Profile
from service.core.errors import EngineFailed, Refused
from service.core.events import DriftMeasured, DriftSampled, Event
from service.core.image import Limits
from service.core.messages import Answer, Lease, ModelKey, Request
from service.core.ports import Engine
from service.core.tuning import Setting, Tuning
from service.engine.session import OnnxEngine, open_sessions
from service.engine.store import ModelStore
from service.engine.taps import TapSource
from service.introspect.desk import NICENESS
from service.introspect.drift import DriftWatch, Watch
from service.lane import Batches, Lane
from tests import glass
from tests.contract.benches import until

GUIDE = ModelKey("guide", 1)
STORED = ModelStore(Path(__file__).parents[3] / "model" / "zoo").open(GUIDE)
PICTURE = glass.png(STORED.samples().pixels[0, ..., 0])


@dataclass
class Bench:
    """A watch on the lane of `guide`, and what it stated. Its thread reads the profile when the `gate` is open."""

    share: float = 1.0
    broken: str = ""
    events: list[Event] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    niceness: list[int] = field(default_factory=list)

    def profile(self, _key: ModelKey, _digest: str) -> Profile | None:
        self.gate.wait(30)
        if sys.platform == "linux":
            self.niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        if self.broken == "profile":
            return None
        if self.broken == "file":
            raise Refused("another file has taken its place")
        return STORED.profile()

    def source(self, _key: ModelKey, engine: Engine) -> TapSource:
        def read() -> bytes:
            if self.broken == "graph":
                raise EngineFailed("no such tensor")
            return STORED.model

        return TapSource(engine.digest, engine.tuning.chosen, read)

    def has(self, outcome: str, count: int) -> bool:
        return self.outcomes().count(outcome) == count

    def outcomes(self) -> list[str]:
        return [event.outcome for event in self.events if isinstance(event, DriftSampled)]


@pytest.fixture
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Bench, Batches]]:
    bench: Bench = getattr(request, "param", None) or Bench()
    tuning = Tuning(Setting("cpu", "fp32", 1, 1, 4), ())
    engine = OnnxEngine(STORED.spec, STORED.digest, tuning, open_sessions(STORED.model, tuning), ())
    async with DriftWatch(Watch(bench.share), Limits(), bench.source, bench.profile, bench.events.append) as watch:
        yield bench, watch.lane(GUIDE, engine, Lane(GUIDE, engine, Limits(), lambda _: None))
        bench.gate.set()


def batch(count: int) -> list[Lease]:
    return [Lease(Request(str(number), GUIDE, PICTURE), waited_s=0) for number in range(count)]


async def test_a_lane_never_waits_for_it(bench: tuple[Bench, Batches]) -> None:
    """While its thread is busy eight pictures wait; more are left out and counted, and every caller is answered."""
    watch, lane = bench
    answers = lane.classify(batch(20))
    assert all(isinstance(answer, Answer) for _, answer in answers)
    assert watch.outcomes() == ["dropped"] * 12
    watch.gate.set()
    await until(partial(watch.has, "measured", 8))
    lane.classify(batch(1))

    await until(partial(watch.has, "measured", 9))
    if sys.platform == "linux":
        assert watch.niceness == [min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)]


async def test_every_fiftieth_picture_is_worth_a_comparison(bench: tuple[Bench, Batches]) -> None:
    """Fifty times one picture is another distribution than that of export."""
    watch, lane = bench
    watch.gate.set()
    for count in range(1, 51):
        lane.classify(batch(1))
        await until(partial(watch.has, "measured", count))
    (found,) = [event for event in watch.events if isinstance(event, DriftMeasured)]

    assert (found.model, found.images, list(found.layers)) == (GUIDE, 50, ["conv", "flatten"])
    assert found.layers["conv"].share == 1


@pytest.mark.parametrize("bench", [Bench(broken="profile"), Bench(broken="file")], indirect=True)
async def test_what_cannot_be_compared_is_not_looked_at_again(bench: tuple[Bench, Batches]) -> None:
    """Said once; the lane answers as before."""
    watch, lane = bench
    watch.gate.set()
    with structlog.testing.capture_logs() as said:
        lane.classify(batch(1))
        await until(lambda: said)
    lane.classify(batch(3))

    assert [line["event"] for line in said] == ["activation drift is not watched"]
    assert len(watch.niceness) == 1
    assert [type(answer) for _, answer in lane.classify(batch(1))] == [Answer]


@pytest.mark.parametrize("bench", [Bench(broken="graph")], indirect=True)
async def test_what_fails_is_counted(bench: tuple[Bench, Batches]) -> None:
    """With its reason, for the log."""
    watch, lane = bench
    watch.gate.set()
    lane.classify(batch(1))
    await until(lambda: watch.events)

    assert watch.events == [DriftSampled(GUIDE, "failed", "no such tensor")]


@pytest.mark.parametrize("bench", [Bench(share=0.25)], indirect=True)
async def test_a_share_is_looked_at(bench: tuple[Bench, Batches]) -> None:
    """About a quarter of 400."""
    watch, lane = bench
    lane.classify(batch(400))

    assert 50 <= len(watch.outcomes()) + 8 <= 160


async def test_a_lane_may_outlive_it(bench: tuple[Bench, Batches]) -> None:
    """Its process is ending: what lanes still answer is answered, and not looked at."""
    watch, lane = bench
    tuning = Tuning(Setting("cpu", "fp32", 1, 1, 4), ())
    engine = OnnxEngine(STORED.spec, STORED.digest, tuning, open_sessions(STORED.model, tuning), ())
    async with DriftWatch(Watch(1), Limits(), watch.source, watch.profile, watch.events.append) as closed:
        late = closed.lane(GUIDE, engine, lane)

    assert [type(answer) for _, answer in late.classify(batch(1))] == [Answer]
