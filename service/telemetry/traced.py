"""The same use cases and the same lanes, with spans around them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from service.core.messages import Answer, Lease, ModelKey, Outcome
from service.telemetry.context import sampled
from service.telemetry.tracing import Tracer, ended


class Asking(Protocol):
    """Both ways to ask, see `service.core.use_cases`."""

    @property
    def classify(self) -> Callable[..., Awaitable[Answer]]:
        """One picture."""

    @property
    def classify_all(self) -> Callable[..., Awaitable[Sequence[Answer]]]:
        """Several pictures."""


class Batches(Protocol):
    """What a lane's thread runs."""

    def classify(self, leases: Sequence[Lease], *, alone: bool = False) -> list[tuple[Lease, Outcome]]:
        """One outcome for each lease."""


class TracedAsking:
    """Every request is a span, with the way back of its answers in it."""

    def __init__(self, inside: Asking, tracer: Tracer) -> None:
        self._inside = inside
        self._tracer = tracer

    async def classify(self, **asked: Any) -> Answer:
        """What `inside` answers."""
        asked_ns = time.time_ns()
        with self._tracer.request(_attributes(asked)) as span:
            answer = await self._inside.classify(**asked)
            self._tracer.reply(span, asked_ns, [answer])
            return answer

    async def classify_all(self, **asked: Any) -> Sequence[Answer]:
        """What `inside` answers."""
        asked_ns = time.time_ns()
        with self._tracer.request(_attributes(asked) | {"vitrine.pictures": len(asked["images"])}) as span:
            answers = await self._inside.classify_all(**asked)
            self._tracer.reply(span, asked_ns, answers)
            return answers


class TracedLane:
    """A lane that tells the stages of those requests of a batch that are traced."""

    def __init__(self, model: ModelKey, lane: Batches, tracer: Tracer) -> None:
        self._model = model
        self._lane = lane
        self._tracer = tracer

    def classify(self, leases: Sequence[Lease], *, alone: bool = False) -> list[tuple[Lease, Outcome]]:
        """What the lane says."""
        if not any(sampled(lease.request.trace) for lease in leases):
            return self._lane.classify(leases, alone=alone)
        began_ns = time.time_ns()
        outcomes = [(lease, ended(outcome)) for lease, outcome in self._lane.classify(leases, alone=alone)]
        self._tracer.batch(self._model, began_ns, outcomes)
        return outcomes


def _attributes(asked: dict[str, Any]) -> dict[str, str | int]:
    return {"vitrine.request_id": asked["id"], "vitrine.model": asked["model"], "vitrine.method": asked["method"]}
