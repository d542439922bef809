"""`ClassifyStream`: two independent flows, tied by ids and by a limit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import pytest
from structlog.testing import capture_logs

from service.api.server import GrpcServer
from service.core.errors import BadImage
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub
from tests.fakes import FakeClassifier

Stream = grpc.aio.StreamStreamCall[pb.ClassifyRequest, pb.ClassifyResult]


@pytest.fixture
def stream(channel: grpc.aio.Channel) -> Stream:
    call: Stream = ClassifierStub(channel).ClassifyStream()
    return call


def request(name: str, image: bytes = b"") -> pb.ClassifyRequest:
    return pb.ClassifyRequest(id=name, model="digits", image=image)


async def rest(stream: Stream) -> list[str]:
    """The ids of everything that still comes."""
    return [result.id for result in await results(stream)]


async def results(stream: Stream) -> list[pb.ClassifyResult]:
    """Everything that still comes."""
    found = []
    while isinstance(result := await stream.read(), pb.ClassifyResult):
        found.append(result)
    return found


async def test_answers_come_as_they_are_ready(stream: Stream, inside: FakeClassifier) -> None:
    """A slow picture does not hold up the one behind it; ids tell which is which."""
    gate = inside.held[b"slow"] = asyncio.Event()
    await stream.write(request("slow", b"slow"))
    await stream.write(request("quick"))
    first = await stream.read()
    gate.set()
    await stream.done_writing()

    assert isinstance(first, pb.ClassifyResult)
    assert first.id == "quick"
    assert await rest(stream) == ["slow"]


async def test_half_closing_drains(stream: Stream, inside: FakeClassifier) -> None:
    """After the last request every answer still comes, then the stream ends well."""
    gate = inside.held[b"slow"] = asyncio.Event()
    for name in "abc":
        await stream.write(request(name, b"slow"))
    await stream.done_writing()
    await inside.seen(3)
    gate.set()

    assert sorted(await rest(stream)) == ["a", "b", "c"]
    assert await stream.code() == grpc.StatusCode.OK


async def test_an_empty_stream_ends_well(stream: Stream) -> None:
    """Nothing asked, nothing answered."""
    await stream.done_writing()

    assert await rest(stream) == []
    assert await stream.code() == grpc.StatusCode.OK


async def test_one_bad_request_hurts_no_other(stream: Stream, inside: FakeClassifier) -> None:
    """Errors are results; the stream goes on."""
    inside.failures[b"text"] = BadImage("image", "a picture", "text")
    await stream.write(request("bad", b"text"))
    await stream.write(pb.ClassifyRequest(id="worse", model=""))
    await stream.write(request("good"))
    await stream.done_writing()
    outcomes = {result.id: result.WhichOneof("outcome") for result in await results(stream)}

    assert outcomes == {"bad": "error", "worse": "error", "good": "response"}


async def test_the_server_stops_reading_at_the_limit(stream: Stream, inside: FakeClassifier) -> None:
    """Of many requests only three (the limit) are inside at once; each answer lets one more in."""
    gates = [asyncio.Event() for _ in range(8)]
    inside.held.update({bytes([n]): gate for n, gate in enumerate(gates)})
    for n in range(8):
        await stream.write(request(str(n), bytes([n])))
    await inside.seen(3)
    gates[1].set()
    answered = await stream.read()
    await inside.seen(4)
    inside_by_now = [call.id for call in inside.calls]
    for gate in gates:
        gate.set()
    await stream.done_writing()

    assert isinstance(answered, pb.ClassifyResult)
    assert answered.id == "1"
    assert inside_by_now == ["0", "1", "2", "3"]
    assert sorted(await rest(stream)) == ["0", "2", "3", "4", "5", "6", "7"]


async def test_leaving_withdraws_everything(stream: Stream, inside: FakeClassifier) -> None:
    """A cancelled stream leaves nothing waiting inside."""
    inside.held[b"slow"] = asyncio.Event()
    for name in "abc":
        await stream.write(request(name, b"slow"))
    await inside.seen(3)
    stream.cancel()
    await asyncio.wait_for(inside.left(3), 10)

    assert sorted(inside.withdrawn) == ["a", "b", "c"]


async def test_shutting_down_ends_an_idle_stream(
    stream: Stream, inside: FakeClassifier, server: GrpcServer, channel: grpc.aio.Channel
) -> None:
    """What was read is answered, then the caller is told to go elsewhere, long before the grace period is over."""
    gate = inside.held[b"slow"] = asyncio.Event()
    idle = ClassifierStub(channel).ClassifyStream()
    await idle.write(request("first"))
    await idle.read()
    await stream.write(request("slow", b"slow"))
    await inside.seen(2)
    async with asyncio.timeout(20):
        stopping = asyncio.create_task(server.stop(grace_s=60))
        assert await idle.code() == grpc.StatusCode.UNAVAILABLE
        gate.set()
        answered = await stream.read()
        await stopping

    assert isinstance(answered, pb.ClassifyResult)
    assert answered.id == "slow"
    assert await stream.code() == grpc.StatusCode.UNAVAILABLE
    assert await stream.details() == "the server is shutting down; what was read is answered"


async def test_a_bug_beyond_one_item_ends_the_stream(stream: Stream, inside: FakeClassifier) -> None:
    """An answer that cannot be put on the wire is logged and ends the call; nobody waits for it for ever."""
    inside.timing = replace(inside.timing, queue_us=-1)
    await stream.write(request("a"))
    with capture_logs() as logs:
        async with asyncio.timeout(20):
            assert await stream.code() == grpc.StatusCode.INTERNAL

    assert await stream.details() == f"internal error, logged as {logs[0]['error_id']}"


async def test_many_answers_each_meet_their_request(stream: Stream) -> None:
    """A thousand requests through a window of three: every id comes back once."""

    async def write() -> None:
        for n in range(1000):
            await stream.write(request(str(n)))
        await stream.done_writing()

    writer = asyncio.create_task(write())
    ids = await rest(stream)
    await writer

    assert sorted(ids, key=int) == [str(n) for n in range(1000)]
