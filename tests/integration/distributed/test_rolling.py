"""Front-ends and workers are replaced one after the other under load, and no call fails: gRPC's own retries do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from service.client import CHANNEL_OPTIONS
from service.rpc.open_inference import pb as oip
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub
from tests.guide import convolved, png
from tests.integration.distributed.deployment import Deployment, Started
from tests.servers import free_port

CALLERS = 8
#: More than gRPC keeps for another attempt unless told otherwise.
PADDING = bytes(400 * 1024)


@dataclass
class Load:
    """Callers that go on until told to stop; `failures` is what they were told instead of an answer."""

    stub: ClassifierStub
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    stopping: bool = False

    async def caller(self, number: int) -> None:
        pixels = bytes((number + 7 * k) % 100 for k in range(9))
        request = pb.ClassifyRequest(model="guide", image=png(pixels) + PADDING, logits=True)
        while not self.stopping:
            try:
                reply = await self.stub.Classify(request, timeout=60)
            except grpc.aio.AioRpcError as error:
                self.failures.append(f"{error.code()}: {error.details()}")
                continue
            assert tuple(reply.logits) == convolved(pixels)
            self.answered += 1

    async def more(self, count: int = 50) -> None:
        """Wait until so many more calls were answered."""
        until = self.answered + count
        while self.answered < until:
            await asyncio.sleep(0.01)


@pytest.fixture
async def channel(deployment: Deployment) -> AsyncIterator[grpc.aio.Channel]:
    """To two front-ends, at ports that stay theirs when they are replaced."""
    ports = [free_port(), free_port()]
    target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
    deployment.environment = {"TEST_PORTS": " ".join(map(str, ports))}
    async with grpc.aio.insecure_channel(target, CHANNEL_OPTIONS) as channel:
        yield channel


def front_end(deployment: Deployment, number: int) -> Started:
    port = deployment.environment["TEST_PORTS"].split()[number]
    return deployment.front_end(GRPC=f"127.0.0.1:{port}")


async def replace(old: Started, deployment: Deployment, number: int | None = None) -> Started:
    """Stop one process in order, start the next in its place, and wait until it is ready."""
    assert await asyncio.to_thread(old.stop) == 0
    new = deployment.worker() if number is None else front_end(deployment, number)
    await asyncio.to_thread(deployment.ready, new)
    return new


async def test_no_call_fails(deployment: Deployment, channel: grpc.aio.Channel) -> None:
    """Both workers and both front-ends are restarted under load; every call is answered, and rightly."""
    workers = [deployment.worker(), deployment.worker()]
    front_ends = [front_end(deployment, 0), front_end(deployment, 1)]
    await asyncio.to_thread(deployment.ready, *workers, *front_ends)
    load = Load(ClassifierStub(channel))
    async with asyncio.TaskGroup() as callers:
        for number in range(CALLERS):
            callers.create_task(load.caller(number))
        await load.more()
        for number, started in enumerate(front_ends):
            await replace(started, deployment, number)
            await load.more()
        for started in workers:
            await replace(started, deployment)
            await load.more()
        load.stopping = True

    assert load.failures == []


async def test_one_front_end_comes_back(deployment: Deployment, channel: grpc.aio.Channel) -> None:
    """With nobody in its place meanwhile, calls wait for it."""
    worker, only = deployment.worker(), front_end(deployment, 0)
    await asyncio.to_thread(deployment.ready, worker, only)
    load = Load(ClassifierStub(channel))
    async with asyncio.TaskGroup() as callers:
        for number in range(CALLERS):
            callers.create_task(load.caller(number))
        await load.more()
        await replace(only, deployment, 0)
        await load.more()
        load.stopping = True

    assert load.failures == []


async def test_a_stream_ends_with_answers(deployment: Deployment, channel: grpc.aio.Channel) -> None:
    """What was read of a stream is answered before the server leaves; then the stream ends with UNAVAILABLE."""
    worker, only = deployment.worker(), front_end(deployment, 0)
    await asyncio.to_thread(deployment.ready, worker, only)
    worker.hold.touch()
    stream = ClassifierStub(channel).ClassifyStream(timeout=60)
    for number in range(4):
        await stream.write(pb.ClassifyRequest(id=str(number), model="guide", image=png(bytes(range(9)))))
    await asyncio.to_thread(deployment.busy, 4)
    stopping = asyncio.create_task(asyncio.to_thread(only.stop))
    while channel.get_state() is grpc.ChannelConnectivity.READY:  # until GOAWAY
        await asyncio.sleep(0.01)
    worker.hold.unlink()
    results = [await stream.read() for _ in range(4)]

    assert {result.id for result in results if result.HasField("response")} == set("0123")
    assert await stream.code() is grpc.StatusCode.UNAVAILABLE
    assert await stopping == 0


async def test_a_stream_of_the_standard_ends_with_answers(deployment: Deployment, channel: grpc.aio.Channel) -> None:
    """In its order, and told as gRPC tells it: what comes next belongs to another server."""
    worker, only = deployment.worker(), front_end(deployment, 0)
    await asyncio.to_thread(deployment.ready, worker, only)
    worker.hold.touch()
    stream = channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer",
        request_serializer=oip.ModelInferRequest.SerializeToString,
        response_deserializer=oip.ModelStreamInferResponse.FromString,
    )(timeout=60)
    for number in range(4):
        asked = oip.ModelInferRequest(model_name="guide", id=str(number), raw_input_contents=[bytes(range(9))])
        asked.inputs.add(name="image", datatype="UINT8", shape=[1, 3, 3, 1])
        await stream.write(asked)
    await asyncio.to_thread(deployment.busy, 4)
    stopping = asyncio.create_task(asyncio.to_thread(only.stop))
    while channel.get_state() is grpc.ChannelConnectivity.READY:  # until GOAWAY
        await asyncio.sleep(0.01)
    worker.hold.unlink()
    results: list[Any] = [await stream.read() for _ in range(4)]

    assert [result.infer_response.id for result in results] == ["0", "1", "2", "3"]
    assert {result.error_message for result in results} == {""}
    assert await stream.code() is grpc.StatusCode.UNAVAILABLE
    assert await stopping == 0
