"""What Triton counts, per model version: the one source of `ModelStatistics` and of the `nv_inference_*` metrics."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.core.errors import Code
from service.core.events import CacheAsked, Event, RequestDone
from service.core.messages import ModelKey, Timing

#: Triton's reasons of `nv_inference_request_failure`; what is not listed is OTHER.
REASONS: Mapping[Code, str] = {Code.OVERLOADED: "REJECTED", Code.CANCELLED: "CANCELED", Code.FAILED: "BACKEND"}
OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Duration:
    """How often, and how long in all, in nanoseconds."""

    count: int
    ns: int


@dataclass(frozen=True, slots=True)
class Batches:
    """The executed batches of one size. `compute_input` is the decoding of their pictures."""

    size: int
    executions: int
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


@dataclass(frozen=True, slots=True)
class Totals:
    """Of one model version since the process started.

    Every request that succeeded counts once in `success`, `queue` and the three `compute_` stages, whose times add up
    to that of `success`; `pictures` counts its pictures. One that was answered from the cache alone counts in `success`
    and `queue` only, and its pictures nowhere. `last_ms` is in milliseconds since 1970, 0 for never.
    """

    last_ms: int
    pictures: int
    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    batches: tuple[Batches, ...]
    failures: Mapping[str, int]  #: by Triton's reason
    cache_hit: Duration
    cache_miss: Duration


class Statistics:
    """Counts requests; `emit` may be called from any thread. A snapshot sees each request whole or not at all."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._tallies: defaultdict[ModelKey, _Tally] = defaultdict(_Tally)

    def emit(self, event: Event) -> None:
        """Count a request that found its model, and lookups in the cache; other events are not counted here."""
        if isinstance(event, CacheAsked):
            with self._lock:
                self._tallies[event.model].looked_up(event)
            return
        if not isinstance(event, RequestDone) or not event.version:
            return
        key = ModelKey(event.model, event.version)
        with self._lock:
            if event.code is None:
                self._tallies[key].succeeded(event, self._wall())
            else:
                self._tallies[key].failed(event.code, event.took_s)

    def of(self, key: ModelKey) -> Totals:
        """The totals of one version; all zero when it was never asked."""
        with self._lock:
            tally = self._tallies.get(key)
            return (tally or _Tally()).totals()

    def all(self) -> Mapping[ModelKey, Totals]:
        """The totals of every version that was ever asked, at one instant."""
        with self._lock:
            return {key: tally.totals() for key, tally in self._tallies.items()}


class _Tally:
    """One version's running sums, in nanoseconds."""

    def __init__(self) -> None:
        self.last_s = 0.0
        self.pictures = 0
        self.successes = 0
        self.computed = 0  #: requests of which not all came from the cache
        self.success_ns = self.computed_ns = self.queue_ns = self.input_ns = self.infer_ns = 0
        self.hits, self.misses = [0, 0], [0, 0]  #: count and nanoseconds
        self.fail_ns = 0
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.by_size: defaultdict[int, _Members] = defaultdict(_Members)

    def succeeded(self, event: RequestDone, wall_s: float) -> None:
        """One request was answered. Its stages are those of the picture that took longest."""
        slowest = max(event.timings, key=lambda timing: timing.took_us)
        took_ns = max(int(event.took_s * 1e9), slowest.took_us * 1000)
        computed = [timing for timing in event.timings if timing.batch_size]
        self.last_s = wall_s
        self.pictures += len(computed)
        self.successes += 1
        self.success_ns += took_ns
        if not computed:
            return
        self.computed += 1
        self.computed_ns += took_ns
        self.queue_ns += slowest.queue_us * 1000
        self.input_ns += slowest.decode_us * 1000
        self.infer_ns += slowest.compute_us * 1000
        for timing in computed:
            self.by_size[timing.batch_size].add(timing)

    def looked_up(self, event: CacheAsked) -> None:
        """A picture was looked up in the cache."""
        tally = self.misses if event.outcome == "miss" else self.hits
        tally[0] += 1
        tally[1] += int(event.took_s * 1e9)

    def failed(self, code: Code, took_s: float) -> None:
        """One request was not answered."""
        self.failures[REASONS.get(code, OTHER)] += 1
        self.fail_ns += int(took_s * 1e9)

    def totals(self) -> Totals:
        """What was counted so far."""
        count = self.computed
        # What follows the computation: scores, the way back to the caller's thread, the reply.
        output_ns = self.computed_ns - self.queue_ns - self.input_ns - self.infer_ns
        return Totals(
            last_ms=int(self.last_s * 1000),
            pictures=self.pictures,
            success=Duration(self.successes, self.success_ns),
            fail=Duration(sum(self.failures.values()), self.fail_ns),
            queue=Duration(self.successes, self.queue_ns),
            compute_input=Duration(count, self.input_ns),
            compute_infer=Duration(count, self.infer_ns),
            compute_output=Duration(count, output_ns),
            batches=tuple(members.batches(size) for size, members in sorted(self.by_size.items())),
            failures=dict(self.failures),
            cache_hit=Duration(*self.hits),
            cache_miss=Duration(*self.misses),
        )


class _Members:
    """The pictures that were computed in batches of one size.

    Batches are told by their members, since the worker that ran them may be another process: `size` pictures make one.
    """

    def __init__(self) -> None:
        self.count = 0
        self.input_us = 0
        self.infer_us = 0

    def add(self, timing: Timing) -> None:
        """One picture of one batch."""
        self.count += 1
        self.input_us += timing.decode_us
        self.infer_us += timing.compute_us

    def batches(self, size: int) -> Batches:
        """The batches that they must have been in."""
        executions = -(-self.count // size)
        return Batches(
            size=size,
            executions=executions,
            compute_input=Duration(executions, self.input_us * 1000),
            compute_infer=Duration(executions, self.infer_us * 1000 // size),
            compute_output=Duration(executions, 0),
        )
