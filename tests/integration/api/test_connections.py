"""What connections see: health of each model, reflection of every service, pings, and an age that ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from service.api.introspection import IntrospectionServicer
from service.api.server import GrpcServer, GrpcSettings
from service.introspect.desk import Desk
from service.rpc.pb.vitrine.v1 import classifier_pb2, models_pb2
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub
from service.rpc.pb.vitrine.v1.models_pb2_grpc import ModelsStub
from tests import glass
from tests.fakes import FakeCatalog, FakeClassifier
from tests.integration.api.reflected import reflected
from tests.integration.security import raw

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


@pytest.mark.parametrize(
    ("service", "at_once"),
    [
        ("vitrine.v1.Classifier", NOT_SERVING),
        ("vitrine.v1.Introspection", NOT_SERVING),
        ("vitrine.v1.Models", SERVING),
        ("grpc.health.v1.Health", SERVING),
        ("grpc.reflection.v1.ServerReflection", SERVING),
    ],
)
async def test_every_service_has_a_health(
    inside: FakeClassifier, catalog: FakeCatalog, service: str, at_once: int
) -> None:
    """Those that are asked about pictures serve when pictures may be sent; whoever watches is told."""
    inner = IntrospectionServicer(glass.introspector(), Desk())
    server = GrpcServer(GrpcSettings("127.0.0.1:0"), inside, catalog, lambda _: None, inner)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await server.start()}") as channel:
        watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )(health_pb2.HealthCheckRequest(service=service))
        states = [(await _next(watch)).status]
        await server.set_serving(serving=True)
        if at_once == NOT_SERVING:
            states.append((await _next(watch)).status)
        states.append((await check(channel, service)).status)
        watch.cancel()
    await server.stop(0)

    assert states[0] == at_once
    assert set(states[1:]) == {SERVING}


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


Listen = Callable[[GrpcSettings], Awaitable[int]]


@pytest.fixture
async def listen(inside: FakeClassifier, catalog: FakeCatalog) -> AsyncIterator[Listen]:
    """Start a server with these settings; its port."""
    servers: list[GrpcServer] = []

    async def start(settings: GrpcSettings) -> int:
        servers.append(GrpcServer(settings, inside, catalog, lambda _: None))
        return await servers[-1].start()

    yield start
    for server in servers:
        await server.stop(0)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """By HTTP/2, with its first words said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw.PREFACE + raw.frame(raw.SETTINGS, 0, 0) + raw.frame(raw.SETTINGS, raw.ACK, 0))
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):  # the server may have hung up
            await writer.wait_closed()


async def ping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
    """The frame that answers a ping: its kind, and what is in it."""
    writer.write(raw.frame(raw.PING, 0, 0, b"vitrine?"))
    while True:
        head = await asyncio.wait_for(reader.readexactly(9), 30)
        body = await reader.readexactly(int.from_bytes(head[:3]))
        if head[3] == raw.GOAWAY or (head[3] == raw.PING and head[4] & raw.ACK):
            return head[3], body


async def test_idle_clients_may_ping(listen: Listen) -> None:
    """As those in Go and Java do each 10 s at most, where gRPC's own default turns away who pings within 5 minutes."""
    port = await listen(GrpcSettings("127.0.0.1:0", min_ping_interval_s=0.1))
    async with connected(port) as connection:
        patient = []
        for _ in range(6):
            patient.append(await ping(*connection))
            await asyncio.sleep(0.15)
        hasty = [await ping(*connection)]
        while hasty[-1][0] == raw.PING and len(hasty) < 100:
            hasty.append(await ping(*connection))

    assert patient == [(raw.PING, b"vitrine?")] * 6
    assert (hasty[-1][0], hasty[-1][1][-14:]) == (raw.GOAWAY, b"too_many_pings")
    assert GrpcSettings().min_ping_interval_s < 10


async def test_a_client_that_went_away_is_given_up(listen: Listen) -> None:
    """Without a word, in the middle of a call: it is pinged, and does not answer."""
    port = await listen(GrpcSettings("127.0.0.1:0", keepalive_s=0.2, keepalive_timeout_s=0.2))
    async with connected(port) as (reader, writer):
        writer.write(raw.frame(raw.HEADERS, raw.END_HEADERS, 1, raw.call("/vitrine.v1.Classifier/ClassifyStream")))

        assert await asyncio.wait_for(reader.read(), 30) != b""  # up to the end: the server has closed it


async def test_large_messages_come_in(listen: Listen) -> None:
    """64 MiB unless told otherwise, where the library's own default is 4."""
    options = [("grpc.max_send_message_length", -1)]
    port = await listen(GrpcSettings("127.0.0.1:0"))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        stub = ClassifierStub(channel)
        answer = await stub.Classify(classifier_pb2.ClassifyRequest(id="a", model="digits", image=bytes(63 << 20)))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Classify(classifier_pb2.ClassifyRequest(id="b", model="digits", image=bytes(64 << 20)))

    assert answer.id == "a"
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_gzip_is_taken(listen: Listen, inside: FakeClassifier) -> None:
    """What is compressed on the way arrives as it was."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await listen(GrpcSettings('127.0.0.1:0'))}") as channel:
        request = classifier_pb2.ClassifyRequest(id="a", model="digits", image=b"x" * 10_000)
        answer = await ClassifierStub(channel).Classify(request, compression=grpc.Compression.Gzip)

    assert (answer.id, inside.calls[0].image) == ("a", b"x" * 10_000)
