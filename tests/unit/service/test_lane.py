"""What one lane makes of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from service.core.errors import BadImage, Cancelled, EngineFailed, ServiceError, TooLate
from service.core.events import BatchBisected, BatchRan, Dropped, Event
from service.core.image import Limits
from service.core.messages import Answer, Lease, ModelKey, Options, Outcome, Request
from service.lane import Lane
from tests.engines import FakeEngine
from tests.unit.service.pictures import DARK, LIGHT, png

MODEL = ModelKey("tiny", 1)


@dataclass
class Bench:
    """A lane with a counting engine, a clock that stands still, and the events it stated."""

    engine: FakeEngine = field(default_factory=FakeEngine)
    events: list[Event] = field(default_factory=list)
    time: float = 10.0

    def classify(self, *leases: Lease) -> dict[str, Outcome]:
        """Outcomes by request id."""
        lane = Lane(MODEL, self.engine, Limits(), self.events.append, lambda: self.time)
        return {lease.request.id: outcome for lease, outcome in lane.classify(leases)}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def lease(name: str, image: bytes, deadline: float = 20.0, options: Options | None = None) -> Lease:
    """A lease that waited half a second."""
    return Lease(Request(name, MODEL, image, options or Options(), deadline), waited_s=0.5)


def labels(outcomes: dict[str, Outcome]) -> dict[str, str]:
    """The best label, or the kind of error, by request id."""
    return {
        name: outcome.predictions[0].label if isinstance(outcome, Answer) else type(outcome).__name__
        for name, outcome in outcomes.items()
    }


def brightest(limit: int) -> FakeEngine:
    """An engine that fails on any batch with a pixel above `limit`."""
    return FakeEngine(fails_on=lambda batch: bool((batch > limit).any()))


def test_each_picture_gets_its_own_answer(bench: Bench) -> None:
    """Answers are matched to requests, whatever their order."""
    outcomes = bench.classify(lease("a", LIGHT), lease("b", DARK), lease("c", LIGHT))

    assert labels(outcomes) == {"a": "light", "b": "dark", "c": "light"}
    assert bench.engine.batches == [3]


def test_an_answer_says_what_computed_it_and_how_long_it_took(bench: Bench) -> None:
    """Model, digest, provider, batch size and times come with every answer."""
    answer = bench.classify(lease("a", LIGHT))["a"]

    assert isinstance(answer, Answer)
    assert (answer.model, answer.digest) == (MODEL, "d" * 64)
    assert (answer.timing.queue_us, answer.timing.batch_size, answer.timing.provider) == (500_000, 1, "cpu fp32")


def test_options_choose_what_an_answer_holds(bench: Bench) -> None:
    """top_k, min_score and logits are each caller's own."""
    outcomes = bench.classify(
        lease("plain", LIGHT),
        lease("all", LIGHT, options=Options(top_k=1, logits=True)),
        lease("strict", LIGHT, options=Options(min_score=0.9)),
    )
    plain, everything, strict = outcomes["plain"], outcomes["all"], outcomes["strict"]

    assert isinstance(plain, Answer)
    assert isinstance(everything, Answer)
    assert isinstance(strict, Answer)
    assert [prediction.label for prediction in plain.predictions] == ["light", "dark"]
    assert plain.logits == ()
    assert len(everything.predictions) == 1
    assert everything.logits == (-2.0, 2.0)
    assert [prediction.label for prediction in strict.predictions] == ["light"]
    assert strict.predictions[0].score == pytest.approx(0.98201376)


def test_a_broken_picture_fails_alone(bench: Bench) -> None:
    """Its neighbours are computed without it."""
    outcomes = bench.classify(lease("good", LIGHT), lease("bad", b"no picture"), lease("too", DARK))

    assert labels(outcomes) == {"good": "light", "bad": "BadImage", "too": "dark"}
    assert isinstance(outcomes["bad"], BadImage)
    assert bench.engine.batches == [2]


def test_nothing_runs_for_a_batch_of_broken_pictures(bench: Bench) -> None:
    """The engine is not called with an empty batch."""
    assert labels(bench.classify(lease("bad", b""))) == {"bad": "BadImage"}
    assert bench.engine.batches == []


def test_expired_work_is_not_computed(bench: Bench) -> None:
    """The deadline is looked at right before the engine runs."""
    outcomes = bench.classify(lease("late", LIGHT, deadline=10.0), lease("fine", LIGHT))

    assert labels(outcomes) == {"late": "TooLate", "fine": "light"}
    assert isinstance(outcomes["late"], TooLate)
    assert bench.engine.computed == 1
    assert Dropped(MODEL, "compute", expired=True) in bench.events


def test_work_whose_caller_left_is_not_computed(bench: Bench) -> None:
    """A flag that the queue sets is looked at right before the engine runs."""
    left = lease("left", LIGHT)
    left.gone = True
    outcomes = bench.classify(left, lease("fine", LIGHT))

    assert isinstance(outcomes["left"], Cancelled)
    assert bench.engine.computed == 1
    assert Dropped(MODEL, "compute", expired=False) in bench.events


@pytest.mark.parametrize("culprit", range(8))
def test_a_batch_that_fails_is_bisected(culprit: int) -> None:
    """Wherever the culprit sits among eight, the seven others are answered."""
    bench = Bench(engine=brightest(250))
    leases = [lease(str(n), png(255) if n == culprit else LIGHT) for n in range(8)]
    outcomes = bench.classify(*leases)

    expected: dict[str, str] = {str(n): "light" for n in range(8)}
    expected[str(culprit)] = "EngineFailed"
    assert labels(outcomes) == expected
    assert str(outcomes[str(culprit)]) == "model tiny:1 failed on this picture: the engine choked"
    assert bench.engine.computed == 7
    assert BatchBisected(MODEL, 8, "the engine choked", tuple("01234567")) in bench.events


def test_logits_that_are_not_finite_are_an_error() -> None:
    """A model that overflows on one picture says so for that picture only."""

    class Overflowing(FakeEngine):
        def run(self, batch: NDArray[np.uint8], *, alone: bool = False) -> NDArray[np.float32]:
            logits = super().run(batch, alone=alone)
            logits[batch.reshape(len(batch), -1).max(axis=1) > 150] = np.nan
            return logits

    outcomes = Bench(engine=Overflowing()).classify(lease("a", DARK), lease("b", LIGHT))

    assert labels(outcomes) == {"a": "dark", "b": "EngineFailed"}
    assert isinstance(outcomes["b"], EngineFailed | ServiceError)
    assert "not finite" in str(outcomes["b"])


def test_a_batch_reports_itself(bench: Bench) -> None:
    """One fact per run, with one entry per picture."""
    bench.classify(lease("a", LIGHT), lease("b", DARK))

    assert bench.events == [BatchRan(MODEL, "cpu fp32", 2, (0.5, 0.5), (0.0, 0.0), 0.0)]
