"""What our gRPC edge costs beyond an empty handler: `python -m tests.bench.rpc_floor`.

"intercepted" is the empty handler behind one interceptor that does nothing, "asyncio" the empty handler on asyncio's
own loop; all others run on uvloop.

An instant classifier answers inside, so that nothing but the edge is measured. Server and client are two processes;
variants alternate in rounds and the medians are printed. On a busy machine rates say little: the server's CPU time per
call is the number to compare.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import psutil
import uvloop

from service.api.server import GrpcServer, GrpcSettings
from service.core.messages import Answer, Options
from service.rpc.classifier import from_answer
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import (
    ClassifierServicer,
    ClassifierStub,
    add_ClassifierServicer_to_server,
)
from service.telemetry.metrics import Metrics
from tests.fakes import FakeCatalog, answer

VARIANTS = ("empty", "ours", "intercepted", "asyncio")
IMAGE_BYTES = 784
UNARY_CALLERS = 16
STREAM_WINDOW = 64
BATCH_ITEMS = 64
REPLY = from_answer(answer("1", Options()))


class Instant:
    """Answers at once, so that only the edge costs time."""

    async def classify(self, *, id: str, options: Options, **_: Any) -> Answer:
        return answer(id, options)


class Empty(ClassifierServicer):
    """The floor: handlers that do nothing at all."""

    async def Classify(self, _request: object, _context: object) -> pb.ClassifyResponse:  # noqa: N802
        return REPLY

    async def ClassifyBatch(self, request: pb.ClassifyBatchRequest, _context: object) -> pb.ClassifyBatchResponse:  # noqa: N802
        return pb.ClassifyBatchResponse(results=[pb.ClassifyResult(response=REPLY)] * len(request.requests))

    async def ClassifyStream(  # noqa: N802
        self, requests: AsyncIterator[pb.ClassifyRequest], _context: object
    ) -> AsyncIterator[pb.ClassifyResult]:
        async for _ in requests:
            yield pb.ClassifyResult(response=REPLY)


class Nothing(grpc.aio.ServerInterceptor):
    """What every interceptor costs before it does anything."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        return await continuation(handler_call_details)


async def serve(variant: str) -> None:
    """Run one variant; the port is the first line of stdout."""
    if variant == "ours":
        ours = GrpcServer(GrpcSettings("127.0.0.1:0"), Instant(), FakeCatalog(), Metrics("bench").emit)
        port = await ours.start()
    else:
        empty = grpc.aio.server(interceptors=[Nothing()] if variant == "intercepted" else [])
        add_ClassifierServicer_to_server(Empty(), empty)
        port = empty.add_insecure_port("127.0.0.1:0")
        await empty.start()
    print(port, flush=True)
    await asyncio.Event().wait()


async def unary(stub: ClassifierStub, seconds: float) -> int:
    """Closed loop of single calls; returns how many were answered."""
    request, end, done = _request(), time.perf_counter() + seconds, 0

    async def call() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await stub.Classify(request)
            done += 1

    await asyncio.gather(*(call() for _ in range(UNARY_CALLERS)))
    return done


async def stream(stub: ClassifierStub, seconds: float) -> int:
    """One stream with a window of unanswered requests."""
    request, end, done = _request(), time.perf_counter() + seconds, 0
    call, room = stub.ClassifyStream(), asyncio.Semaphore(STREAM_WINDOW)

    async def write() -> None:
        while time.perf_counter() < end:
            await room.acquire()
            await call.write(request)
        await call.done_writing()

    writer = asyncio.create_task(write())
    while await call.read() is not grpc.aio.EOF:
        done += 1
        room.release()
    await writer
    return done


async def batch(stub: ClassifierStub, seconds: float) -> int:
    """Two callers with batches of 64; returns pictures."""
    request, end, done = pb.ClassifyBatchRequest(requests=[_request()] * BATCH_ITEMS), time.perf_counter() + seconds, 0

    async def call() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await stub.ClassifyBatch(request)
            done += BATCH_ITEMS

    await asyncio.gather(call(), call())
    return done


LOADS: dict[str, Callable[[ClassifierStub, float], Awaitable[int]]] = {"unary": unary, "stream": stream, "batch": batch}


@dataclass(frozen=True, slots=True)
class Reading:
    per_second: float
    server_us: float  #: CPU time of the server for one picture


def measure(variant: str, seconds: float) -> dict[str, Reading]:
    """Every load against a fresh server of one variant."""
    command = [sys.executable, "-m", "tests.bench.rpc_floor", "--serve", variant]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            return uvloop.run(_readings(server.pid, f"127.0.0.1:{server.stdout.readline().strip()}", seconds))
        finally:
            server.terminate()


async def _readings(pid: int, address: str, seconds: float) -> dict[str, Reading]:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = ClassifierStub(channel)
        await unary(stub, 0.2)
        return {name: await _reading(pid, load(stub, seconds)) for name, load in LOADS.items()}


async def _reading(pid: int, load: Awaitable[int]) -> Reading:
    server = psutil.Process(pid)
    started, before = time.perf_counter(), server.cpu_times()
    done = await load
    took, after = time.perf_counter() - started, server.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return Reading(done / took, cpu_s / done * 1e6)


def _request() -> pb.ClassifyRequest:
    return pb.ClassifyRequest(id="1", model="digits", image=bytes(IMAGE_BYTES))


def report(rounds: dict[str, list[dict[str, Reading]]]) -> None:
    """Medians over the rounds, and ours against the empty handler."""
    print(f"{'load':8}{'variant':12}{'per second':>12}{'server us':>12}")
    for load in LOADS:
        for variant in VARIANTS:
            readings = [reading[load] for reading in rounds[variant]]
            rate = statistics.median(reading.per_second for reading in readings)
            cpu = statistics.median(reading.server_us for reading in readings)
            print(f"{load:8}{variant:12}{rate:12.0f}{cpu:12.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", choices=VARIANTS, help="run one server (used by the benchmark itself)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5)
    arguments = parser.parse_args()
    if arguments.serve:
        run = asyncio.run if arguments.serve == "asyncio" else uvloop.run
        run(serve(arguments.serve))
        return
    rounds: dict[str, list[dict[str, Reading]]] = {variant: [] for variant in VARIANTS}
    for _ in range(arguments.rounds):
        for variant, readings in rounds.items():
            readings.append(measure(variant, arguments.seconds))
    report(rounds)


if __name__ == "__main__":
    main()
