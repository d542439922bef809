"""What every gRPC client expects of a server: models, health, reflection, its own port, a clean end."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from service.api.server import GrpcServer, GrpcSettings
from service.core.errors import Refused
from service.rpc.pb.vitrine.v1 import classifier_pb2, models_pb2
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub
from service.rpc.pb.vitrine.v1.models_pb2_grpc import ModelsStub
from tests.fakes import FakeCatalog, FakeClassifier
from tests.integration.api.reflected import reflected

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def health(channel: grpc.aio.Channel, service: str) -> int:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return int((await check(health_pb2.HealthCheckRequest(service=service))).status)


async def test_models_are_listed(channel: grpc.aio.Channel) -> None:
    """Ready and broken versions alike, each with its state and reason."""
    reply = await ModelsStub(channel).List(models_pb2.ListModelsRequest())

    assert [(m.name, m.version, m.state, m.reason) for m in reply.models] == [
        ("digits", 3, models_pb2.MODEL_STATE_READY, ""),
        ("fashion", 1, models_pb2.MODEL_STATE_FAILED, "model.onnx: digest differs from the manifest"),
    ]


async def test_a_model_can_be_unloaded_and_loaded(channel: grpc.aio.Channel, catalog: FakeCatalog) -> None:
    """Both reach the catalog, and Get shows what became of it."""
    stub = ModelsStub(channel)
    await stub.Unload(models_pb2.UnloadModelRequest(model="digits"))
    unloaded = await stub.Get(models_pb2.GetModelRequest(model="digits"))
    loaded = await stub.Load(models_pb2.LoadModelRequest(model="digits", version=3))

    assert unloaded.state == models_pb2.MODEL_STATE_AVAILABLE
    assert loaded.state == models_pb2.MODEL_STATE_READY
    assert catalog.get("digits", 0).state == "ready"


@pytest.mark.parametrize(
    ("name", "code"), [("cats", grpc.StatusCode.NOT_FOUND), ("", grpc.StatusCode.INVALID_ARGUMENT)]
)
async def test_a_model_that_is_not_there(channel: grpc.aio.Channel, name: str, code: grpc.StatusCode) -> None:
    """An unknown name is not found, an impossible one is the caller's mistake."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ModelsStub(channel).Get(models_pb2.GetModelRequest(model=name))

    assert raised.value.code() == code


async def test_health_follows_readiness(server: GrpcServer, channel: grpc.aio.Channel) -> None:
    """Overall and classification are not serving until told so; `Models` serves from the start."""
    names = ("", "vitrine.v1.Classifier", "vitrine.v1.Models")
    before = [await health(channel, name) for name in names]
    await server.set_serving(serving=True)
    after = [await health(channel, name) for name in names]

    assert before == [NOT_SERVING, NOT_SERVING, SERVING]
    assert after == [SERVING, SERVING, SERVING]


async def test_reflection_lists_our_services(channel: grpc.aio.Channel) -> None:
    """So that grpcurl and friends work without our files."""
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    reply = await reflected(channel, asked)

    assert {service.name for service in reply.list_services_response.service} == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "vitrine.v1.Classifier",
        "vitrine.v1.Models",
    }


async def test_a_taken_port_is_refused(port: int) -> None:
    """A second server on the same port fails with the address in its message."""
    second = GrpcServer(GrpcSettings(f"127.0.0.1:{port}"), FakeClassifier(), FakeCatalog(), lambda _: None)
    with pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{port}"):
        await second.start()


async def test_stopping_finishes_what_is_in_flight(
    server: GrpcServer, channel: grpc.aio.Channel, inside: FakeClassifier
) -> None:
    """During the grace period the call inside is answered."""
    gate = inside.held[b"slow"] = asyncio.Event()
    call = ClassifierStub(channel).Classify(classifier_pb2.ClassifyRequest(id="a", model="digits", image=b"slow"))
    await inside.seen(1)
    stopping = asyncio.create_task(server.stop(grace_s=30))
    gate.set()
    reply = await call
    await stopping

    assert reply.id == "a"


async def test_the_grace_period_ends(server: GrpcServer, channel: grpc.aio.Channel, inside: FakeClassifier) -> None:
    """What is still in flight after it is cancelled, and withdrawn inside."""
    inside.held[b"slow"] = asyncio.Event()
    call = ClassifierStub(channel).Classify(classifier_pb2.ClassifyRequest(id="a", model="digits", image=b"slow"))
    await inside.seen(1)
    await server.stop(grace_s=0.05)
    await asyncio.wait_for(inside.left(1), 10)

    assert await call.code() != grpc.StatusCode.OK
    assert inside.withdrawn == ["a"]
