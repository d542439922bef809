"""Closed-loop load from a process of its own: `python -m tests.bench.load '<Load as JSON>'` prints a Run as JSON."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import grpc
import numpy as np
import uvloop

from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub

Method = Literal["unary", "stream", "batch"]
BATCH = 64
WARM_S = 0.5


@dataclass(frozen=True, slots=True)
class Load:
    """`concurrency` requests are kept open for `seconds`, after a warm-up of `warm_s` that is not counted."""

    server: str
    model: str
    picture: str
    concurrency: int
    seconds: float
    method: Method = "unary"
    warm_s: float = WARM_S


@dataclass(frozen=True, slots=True)
class Run:
    """What came back: pictures per second, latency percentiles of a call in milliseconds, and calls that failed."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def median(runs: Sequence[Run]) -> Run:
    """The median of each number; failures are summed."""
    middle = {
        field: statistics.median(getattr(run, field) for run in runs) for field in ("per_second", "p50_ms", "p99_ms")
    }
    return Run(**middle, failed=sum(run.failed for run in runs))


class Clock:
    """Latencies of calls that ended within the measured `seconds`, which follow a warm-up."""

    def __init__(self, seconds: float, warm_s: float = WARM_S) -> None:
        self._seconds = seconds
        self.begin = time.perf_counter() + warm_s
        self.end = self.begin + seconds
        self.latencies: list[float] = []
        self.failed = 0

    def going(self) -> bool:
        """Whether another call may start."""
        return time.perf_counter() < self.end

    def ended(self, started: float) -> None:
        """One call came back."""
        now = time.perf_counter()
        if self.begin <= now < self.end:
            self.latencies.append(now - started)

    def run(self, pictures: int = 1) -> Run:
        """What was measured, of calls with so many pictures each."""
        p50, p99 = np.percentile(self.latencies, [50, 99]) * 1000
        return Run(len(self.latencies) * pictures / self._seconds, float(p50), float(p99), self.failed)


async def unary(stub: ClassifierStub, request: pb.ClassifyRequest, load: Load, clock: Clock) -> None:
    """`concurrency` callers, each with one picture at a time."""

    async def caller() -> None:
        while clock.going():
            started = time.perf_counter()
            try:
                await stub.Classify(request)
            except grpc.aio.AioRpcError:
                clock.failed += 1
            else:
                clock.ended(started)

    await asyncio.gather(*(caller() for _ in range(load.concurrency)))


async def batch(stub: ClassifierStub, request: pb.ClassifyRequest, load: Load, clock: Clock) -> None:
    """`concurrency` callers, each with one call of `BATCH` pictures at a time."""
    many = pb.ClassifyBatchRequest(requests=[request] * BATCH)

    async def caller() -> None:
        while clock.going():
            started = time.perf_counter()
            reply = await stub.ClassifyBatch(many)
            clock.failed += sum(result.HasField("error") for result in reply.results)
            clock.ended(started)

    await asyncio.gather(*(caller() for _ in range(load.concurrency)))


async def stream(stub: ClassifierStub, request: pb.ClassifyRequest, load: Load, clock: Clock) -> None:
    """One stream with `concurrency` pictures unanswered."""
    room = asyncio.Semaphore(load.concurrency)
    started: dict[str, float] = {}

    async def requests() -> AsyncIterator[pb.ClassifyRequest]:
        number = 0
        while clock.going():
            await room.acquire()
            number += 1
            started[str(number)] = time.perf_counter()
            yield pb.ClassifyRequest(id=str(number), model=request.model, image=request.image)

    async for result in stub.ClassifyStream(requests()):
        room.release()
        clock.failed += result.HasField("error")
        clock.ended(started.pop(result.id))


METHODS = {"unary": unary, "stream": stream, "batch": batch}


async def measure(load: Load, picture: bytes) -> Run:
    """Drive one load against its server."""
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(load.server, options) as channel:
        stub = ClassifierStub(channel)
        request = pb.ClassifyRequest(model=load.model, image=picture)
        await stub.Classify(request, wait_for_ready=True, timeout=60)
        clock = Clock(load.seconds, load.warm_s)
        await METHODS[load.method](stub, request, load, clock)
    return clock.run(BATCH if load.method == "batch" else 1)


def main() -> None:
    """Measure what the first argument says."""
    load = Load(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(uvloop.run(measure(load, Path(load.picture).read_bytes())))))


if __name__ == "__main__":
    main()
