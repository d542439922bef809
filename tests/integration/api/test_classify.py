"""`Classify` and `ClassifyBatch` over a real socket."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import aio as rpc_status
from structlog.testing import capture_logs

from service.core.errors import BadImage, Code, NotReady, Overloaded, Reason, TooLate
from service.core.events import Event, RequestDone
from service.core.messages import NEVER, Options
from service.rpc.pb.vitrine.v1 import classifier_pb2 as pb
from service.rpc.pb.vitrine.v1.classifier_pb2_grpc import ClassifierStub
from tests.fakes import DIGEST, FakeClassifier


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> ClassifierStub:
    return ClassifierStub(channel)


async def rejection(call: grpc.aio.UnaryUnaryCall[pb.ClassifyRequest, pb.ClassifyResponse]) -> Status:
    """The rich status that a call ended with."""
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    status = await rpc_status.from_call(call)
    assert isinstance(status, Status)
    return status


async def test_a_picture_is_answered(stub: ClassifierStub, inside: FakeClassifier) -> None:
    """The request reaches the inside as it was sent, and all of the answer comes back."""
    reply = await stub.Classify(
        pb.ClassifyRequest(id="a", model="digits", version=3, image=b"picture", top_k=1, logits=True)
    )

    assert (reply.id, reply.model, reply.version, reply.digest) == ("a", "digits", 3, DIGEST)
    assert [(p.label, p.index, p.score) for p in reply.predictions] == [("zero", 0, 0.75)]
    assert list(reply.logits) == [1.5, 0.5]
    assert (reply.timing.queue_us, reply.timing.provider) == (11, "cpu fp32")
    assert inside.calls[0].image == b"picture"
    assert inside.calls[0].options == Options(1, 0.0, logits=True)
    assert inside.calls[0].method == "Classify"


async def test_a_request_without_an_id_gets_one(stub: ClassifierStub) -> None:
    """Made-up ids are not empty and not repeated."""
    replies = await asyncio.gather(*(stub.Classify(pb.ClassifyRequest(model="digits")) for _ in range(10)))

    assert len({reply.id for reply in replies} - {""}) == 10


async def test_the_deadline_travels(stub: ClassifierStub, inside: FakeClassifier) -> None:
    """The caller's timeout becomes a point on the server's monotonic clock; without one there is none."""
    await stub.Classify(pb.ClassifyRequest(model="digits"), timeout=60)
    await stub.Classify(pb.ClassifyRequest(model="digits"))

    assert inside.calls[0].deadline - time.monotonic() == pytest.approx(60, abs=5)
    assert inside.calls[1].deadline == NEVER


async def test_a_caller_that_leaves_withdraws_its_request(stub: ClassifierStub, inside: FakeClassifier) -> None:
    """Cancelling the call cancels what waits inside."""
    inside.held[b"slow"] = asyncio.Event()
    call = stub.Classify(pb.ClassifyRequest(id="a", model="digits", image=b"slow"))
    await inside.seen(1)
    call.cancel()
    await asyncio.wait_for(inside.left(1), 10)

    assert inside.withdrawn == ["a"]


async def test_a_mistake_is_the_caller_s(stub: ClassifierStub, inside: FakeClassifier, events: list[Event]) -> None:
    """INVALID_ARGUMENT naming the field; nothing goes inside, and the refusal is counted."""
    status = await rejection(stub.Classify(pb.ClassifyRequest(model="digits", top_k=2000)))
    bad = BadRequest()
    status.details[1].Unpack(bad)

    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert status.message == "top_k: 0 (the default, 5) to 1000, got 2000"
    assert [violation.field for violation in bad.field_violations] == ["top_k"]
    assert inside.calls == []
    assert events == [RequestDone("", "Classify", Code.INVALID, 0.0)]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadImage("image", "a picture", "text"), grpc.StatusCode.INVALID_ARGUMENT),
        (NotReady("loading"), grpc.StatusCode.UNAVAILABLE),
        (TooLate("too late"), grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
)
async def test_errors_from_inside_have_their_status(
    stub: ClassifierStub, inside: FakeClassifier, error: Exception, code: grpc.StatusCode
) -> None:
    """Code and message are the error's own."""
    inside.failures[b""] = error
    status = await rejection(stub.Classify(pb.ClassifyRequest(model="digits")))

    assert (status.code, status.message) == (code.value[0], str(error))


async def test_overload_says_when_to_come_back(stub: ClassifierStub, inside: FakeClassifier) -> None:
    """RESOURCE_EXHAUSTED with the reason and the delay."""
    inside.failures[b""] = Overloaded(Reason.FULL, "512 requests wait", 0.5)
    status = await rejection(stub.Classify(pb.ClassifyRequest(model="digits")))
    info, retry = ErrorInfo(), RetryInfo()
    status.details[0].Unpack(info)
    status.details[1].Unpack(retry)

    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert info.reason == "FULL"
    assert retry.retry_delay.ToMilliseconds() == 500


async def test_a_bug_is_logged_and_not_told(stub: ClassifierStub, inside: FakeClassifier) -> None:
    """The caller reads an id; the log has the traceback under it."""
    inside.failures[b""] = ZeroDivisionError("secret path /srv/models")
    with capture_logs() as logs:
        status = await rejection(stub.Classify(pb.ClassifyRequest(model="digits")))
    info = ErrorInfo()
    status.details[0].Unpack(info)

    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert "secret" not in str(status)
    assert [entry["error_id"] for entry in logs] == [info.metadata["error_id"]]
    assert isinstance(logs[0]["exc_info"], ZeroDivisionError)


async def test_a_batch_is_answered_in_order(stub: ClassifierStub, inside: FakeClassifier) -> None:
    """One result or error per item, each in the place of its request."""
    inside.failures[b"text"] = BadImage("image", "a picture", "text")
    reply = await stub.ClassifyBatch(
        pb.ClassifyBatchRequest(
            requests=[
                pb.ClassifyRequest(id="a", model="digits"),
                pb.ClassifyRequest(id="b", model="digits", image=b"text"),
                pb.ClassifyRequest(id="c", model="digits", min_score=2),
                pb.ClassifyRequest(id="d", model="digits"),
            ]
        )
    )

    assert [result.id for result in reply.results] == ["a", "b", "c", "d"]
    assert [result.WhichOneof("outcome") for result in reply.results] == ["response", "error", "error", "response"]
    assert reply.results[1].error.message == "image: a picture, got text"
    assert reply.results[2].error.message == "min_score: 0 to 1, got 2.0"


async def test_a_bug_in_one_item_hurts_no_other(stub: ClassifierStub, inside: FakeClassifier) -> None:
    """Its neighbour is answered, and the caller still reads no details."""
    inside.failures[b"bug"] = ZeroDivisionError("secret")
    with capture_logs() as logs:
        reply = await stub.ClassifyBatch(
            pb.ClassifyBatchRequest(
                requests=[pb.ClassifyRequest(model="digits", image=b"bug"), pb.ClassifyRequest(model="digits")]
            )
        )

    assert reply.results[0].error.message == f"internal error, logged as {logs[0]['error_id']}"
    assert reply.results[1].response.digest == DIGEST


async def test_a_batch_has_a_limit(stub: ClassifierStub) -> None:
    """More items than allowed are refused as a whole."""
    request = pb.ClassifyBatchRequest(requests=[pb.ClassifyRequest(model="digits")] * 5)
    status = await rejection(stub.ClassifyBatch(request))

    assert status.message == "requests: at most 4 items, got 5"


async def test_leaving_a_batch_withdraws_all_of_it(stub: ClassifierStub, inside: FakeClassifier) -> None:
    """Nothing of a cancelled batch is computed."""
    inside.held[b"slow"] = asyncio.Event()
    items = [pb.ClassifyRequest(id=name, model="digits", image=b"slow") for name in "abc"]
    call = stub.ClassifyBatch(pb.ClassifyBatchRequest(requests=items))
    await inside.seen(3)
    call.cancel()
    await asyncio.wait_for(inside.left(3), 10)

    assert sorted(inside.withdrawn) == ["a", "b", "c"]


async def test_a_message_has_a_limit(stub: ClassifierStub, inside: FakeClassifier) -> None:
    """A picture larger than the message limit never reaches the inside."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Classify(pb.ClassifyRequest(model="digits", image=bytes(2 << 20)))

    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert inside.calls == []
