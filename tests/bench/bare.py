"""Two servers that are nothing but `grpc.aio`: one whose handler is empty, one that decodes and runs in the handler.

They are the limits that W2 is compared with: the empty one is the cost of the wire, the computing one has no queue,
no lanes, no batches and no metrics.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from pathlib import Path

import grpc
import uvloop

from service.core.image import Limits, decode
from service.core.messages import Options
from service.core.scores import scores, top_k
from service.engine.loading import EnginePolicy
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1 import classifier_pb2_grpc
from tests.bench.ceiling import open_engine

Answer = Callable[[bytes], pb.ClassifyResponse]
Context = grpc.aio.ServicerContext[pb.ClassifyRequest, pb.ClassifyResponse]


class _Servicer(classifier_pb2_grpc.ClassifierServicer):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def Classify(self, request: pb.ClassifyRequest, _context: Context) -> pb.ClassifyResponse:  # noqa: N802 - gRPC's
        return self._answer(request.image)


def _empty() -> Answer:
    reply = pb.ClassifyResponse(predictions=[pb.Prediction(label=str(n), index=n, score=0.1) for n in range(5)])
    return lambda _image: reply


def _computing(models: Path, model: str) -> Answer:
    engine = open_engine(models, model, EnginePolicy(("cpu",), "exact", lanes=1, intra_op_threads=1, batch=1))
    limits, options = Limits(), Options()

    def answer(image: bytes) -> pb.ClassifyResponse:
        rows = scores(engine.run(decode(image, engine.spec, limits)[None]), engine.spec)
        (best,) = top_k(rows, engine.spec, [options])
        return pb.ClassifyResponse(
            predictions=[pb.Prediction(label=one.label, index=one.index, score=one.score) for one in best]
        )

    return answer


def _run(parent: Connection, make: Callable[..., Answer], *arguments: object) -> None:
    async def run() -> None:
        server = grpc.aio.server()
        classifier_pb2_grpc.add_ClassifierServicer_to_server(_Servicer(make(*arguments)), server)
        parent.send(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        await _ended(parent)
        await server.stop(None)

    uvloop.run(run())


async def _ended(parent: Connection) -> None:
    """The other end closed the pipe, or died."""
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()
    loop.add_reader(parent.fileno(), closed.set)
    await closed.wait()
    loop.remove_reader(parent.fileno())


@contextlib.contextmanager
def bare(models: Path, model: str) -> Iterator[tuple[str, str]]:
    """Addresses of the empty and of the computing server, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as running:
        yield (
            running.enter_context(_process(context, _empty)),
            running.enter_context(_process(context, _computing, models, model)),
        )


@contextlib.contextmanager
def _process(spawn: SpawnContext, make: Callable[..., Answer], *more: object) -> Iterator[str]:
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_run, args=(theirs, make, *more))
    process.start()
    theirs.close()
    yield f"127.0.0.1:{ours.recv()}"
    ours.close()
    process.join()
