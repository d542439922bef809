"""Batches that never end are noticed, others are left alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from service.core.messages import Lease, ModelKey
from service.core.patience import Patience
from service.lane import Outcomes
from service.supervision.watchdog import Watchdog

TINY = ModelKey("tiny", 1)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class HeldLane:
    """A lane whose batches end when they are told to."""

    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    leave: threading.Event = field(default_factory=threading.Event)

    def classify(self, leases: Sequence[Lease], *, alone: bool = False) -> Outcomes:
        del leases, alone
        self.entered.release()
        assert self.leave.wait(30)
        return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watchdog(clock: Clock) -> Watchdog:
    return Watchdog(Patience(factor=10, least_s=5), clock)


def test_a_batch_that_never_ends_is_named(watchdog: Watchdog, clock: Clock) -> None:
    """By its model, with its age and what is allowed; when it ends after all, nothing is stuck any more."""
    lane = HeldLane()
    watched = watchdog.watch(TINY, lane, typical_s=0)
    thread = threading.Thread(target=watched.classify, args=([],))
    thread.start()
    lane.entered.acquire()

    clock.now += 4.9
    assert watchdog.stuck() == ""
    clock.now += 0.2
    assert watchdog.stuck() == "model tiny:1: a batch has been running for 5.1 s, which is more than 5.0 s"
    lane.leave.set()
    thread.join()
    assert watchdog.stuck() == ""


def test_a_slow_model_is_not_a_stuck_one(watchdog: Watchdog, clock: Clock) -> None:
    """What its batches took when it was measured counts from the first one on."""
    lane = HeldLane()
    watched = watchdog.watch(TINY, lane, typical_s=2)
    thread = threading.Thread(target=watched.classify, args=([],))
    thread.start()
    lane.entered.acquire()

    clock.now += 19
    assert watchdog.stuck() == ""
    clock.now += 2
    assert watchdog.stuck() != ""
    lane.leave.set()
    thread.join()


def test_the_oldest_batch_counts(watchdog: Watchdog, clock: Clock) -> None:
    """A second lane of the model that goes on does not hide the one that hangs."""
    hanging, going = HeldLane(), HeldLane()
    watched = watchdog.watch(TINY, hanging, typical_s=0)
    other = watchdog.watch(ModelKey("tiny", 2), going, typical_s=0)
    threads = [threading.Thread(target=each.classify, args=([],)) for each in (watched, other)]
    threads[0].start()
    hanging.entered.acquire()
    clock.now += 6
    threads[1].start()
    going.entered.acquire()

    assert watchdog.stuck().startswith("model tiny:1")
    for lane, thread in zip((hanging, going), threads, strict=True):
        lane.leave.set()
        thread.join()
