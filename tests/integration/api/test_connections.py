"""What connections see: health of each model, reflection of every service, pings, and an age that ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from service.api.server import GrpcServer, GrpcSettings
from service.rpc.pb.vitrine.v1 import classifier_pb2, models_pb2
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub
from service.rpc.pb.vitrine.v1.models_pb2_grpc import ModelsStub
from tests.fakes import FakeCatalog, FakeClassifier
from tests.integration.api.reflected import reflected

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def check(channel: grpc.aio.Channel, name: str) -> Any:
    ask = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return ask(health_pb2.HealthCheckRequest(service=name))


@pytest.mark.parametrize(
    ("name", "state"),
    [("digits", SERVING), ("digits:3", SERVING), ("fashion", NOT_SERVING), ("fashion:1", NOT_SERVING)],
)
async def test_every_model_has_a_health(channel: grpc.aio.Channel, name: str, state: int) -> None:
    """By its name, which serves when a version does, and by name and version."""
    assert (await check(channel, name)).status == state


async def test_what_is_not_there_is_not_found(channel: grpc.aio.Channel) -> None:
    """As the health protocol has it."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await check(channel, "cats")

    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


async def test_whoever_watches_a_model_is_told(
    server: GrpcServer, channel: grpc.aio.Channel, catalog: FakeCatalog
) -> None:
    """When it is unloaded, and when it is gone altogether."""
    watch = channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    call = watch(health_pb2.HealthCheckRequest(service="digits"))
    states = [(await _next(call)).status]
    await ModelsStub(channel).Unload(models_pb2.UnloadModelRequest(model="digits"))
    await server.set_serving(serving=True)
    states.append((await _next(call)).status)
    await ModelsStub(channel).Load(models_pb2.LoadModelRequest(model="digits", version=3))
    await server.set_serving(serving=True)
    states.append((await _next(call)).status)
    catalog.statuses.clear()
    await server.set_serving(serving=True)
    states.append((await _next(call)).status)
    call.cancel()

    assert states == [SERVING, NOT_SERVING, SERVING, NOT_SERVING]


async def _next(call: Any) -> health_pb2.HealthCheckResponse:
    answer = await asyncio.wait_for(call.read(), 30)
    assert isinstance(answer, health_pb2.HealthCheckResponse)
    return answer


@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("inference.GRPCInferenceService", "inference/open_inference.proto"),
        ("inference.ModelInferRequest.InferInputTensor", "inference/open_inference.proto"),
        ("inference.GRPCInferenceService.ModelInfer", "inference/open_inference.proto"),
        ("inference.ModelInferRequest.model_name", "inference/open_inference.proto"),
        ("vitrine.v1.Classifier", "service/rpc/pb/vitrine/v1/classifier.proto"),
        ("vitrine.v1.Classifier.Classify", "service/rpc/pb/vitrine/v1/classifier.proto"),
        ("grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"),
        ("grpc.reflection.v1alpha.ServerReflection", "grpc_reflection/v1alpha/reflection.proto"),
    ],
)
@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_knows_all_pools(channel: grpc.aio.Channel, version: str, symbol: str, file: str) -> None:
    """The standard's messages are apart from all others, and clients find them all the same, by either protocol."""
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    reply = await reflected(channel, asked, version)

    described = descriptor_pb2.FileDescriptorProto.FromString(reply.file_descriptor_response.file_descriptor_proto[0])
    assert described.name == file


@pytest.mark.parametrize("symbol", ["inference.GRPCInferenceService.Nothing", "vitrine.v1.Nothing", "nothing", ""])
async def test_what_is_not_there_is_not_described(channel: grpc.aio.Channel, symbol: str) -> None:
    """That is told within the stream, which goes on."""
    reply = await reflected(channel, reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))

    assert reply.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.fixture
async def ageing(inside: FakeClassifier, catalog: FakeCatalog) -> AsyncIterator[str]:
    settings = GrpcSettings("127.0.0.1:0", max_connection_age_s=0.2, max_connection_grace_s=20.0)
    server = GrpcServer(settings, inside, catalog, lambda _: None)
    yield f"127.0.0.1:{await server.start()}"
    await server.stop(0)


async def test_an_old_connection_finishes_its_call(ageing: str, inside: FakeClassifier) -> None:
    """It is asked to come again; what it had in flight is answered, and the next call finds its way."""
    gate = inside.held[b"slow"] = asyncio.Event()
    async with grpc.aio.insecure_channel(ageing) as channel:
        stub = ClassifierStub(channel)
        slow = stub.Classify(classifier_pb2.ClassifyRequest(id="a", model="digits", image=b"slow"))
        await inside.seen(1)
        while channel.get_state() == grpc.ChannelConnectivity.READY:
            await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        gate.set()
        answers = [await slow, await stub.Classify(classifier_pb2.ClassifyRequest(id="b", model="digits", image=b"x"))]

    assert [answer.id for answer in answers] == ["a", "b"]
