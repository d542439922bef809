"""How work and replies look inside Redis. Versioned, and nothing in it is executed when it is read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from google.protobuf.message import DecodeError

from service.core.errors import (
    BadImage,
    Cancelled,
    Code,
    EngineFailed,
    InvalidInput,
    NoSuchModel,
    NotReady,
    Refused,
    ServiceError,
    TooLate,
)
from service.core.jobs import Item
from service.core.messages import Answer, Options, Outcome
from service.rpc.classifier import from_answer, to_answer
from service.rpc.pb.vitrine.internal import queue_pb2 as pb
from service.rpc.pb.vitrine.v1 import classifier_pb2

#: Schema of work entries. A worker that meets another one leaves the entry to newer or older workers.
SCHEMA = b"1"
#: Schema of entries that refer to an item of a job, see scripts/jobs.lua.
JOB_SCHEMA = b"j1"

_KINDS: Mapping[str, type[ServiceError]] = {
    Code.NOT_FOUND.value: NoSuchModel,
    Code.REFUSED.value: Refused,
    Code.NOT_READY.value: NotReady,
    Code.TOO_LATE.value: TooLate,
    Code.CANCELLED.value: Cancelled,
    Code.FAILED.value: EngineFailed,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Which item of which job an entry refers to; its input lies elsewhere."""

    job: str
    index: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """One entry of a stream of work, as a worker reads it. `place` is set for items of jobs only."""

    entry: bytes  #: "ms-seq", the time at which Redis took it
    token: bytes
    front_end: str
    deadline_ms: int  #: of the Redis clock; 0 without one
    size: int  #: bytes that it counts for
    id: str
    options: Options
    image: bytes
    place: Place | None = None
    trace: str = ""

    @property
    def queued_ms(self) -> int:
        """When it was queued, on the Redis clock."""
        return int(self.entry.split(b"-")[0])


def left_ms(deadline: float, now: float) -> int:
    """The milliseconds from `now` to `deadline`, rounded up; -1 without a deadline."""
    return -1 if math.isinf(deadline) else max(0, math.ceil((deadline - now) * 1000))


def params(id: str, options: Options, trace: str = "") -> bytes:
    """What a worker must know of a request beside its picture."""
    message = pb.Params(
        id=id,
        top_k=options.top_k,
        min_score=options.min_score,
        logits=options.logits,
        pixels=options.pixels,
        traceparent=trace,
    )
    return message.SerializeToString()


def read_options(text: bytes) -> Options:
    """The options among `params`."""
    return _options(pb.Params.FromString(text))


def _options(asked: pb.Params) -> Options:
    return Options(asked.top_k, asked.min_score, asked.logits, asked.pixels)


def read_work(entry: bytes, fields: Sequence[bytes]) -> Work | None:
    """The entry `[name, value, ...]`; None when its schema is not ours, or is not kept to."""
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    readers = {SCHEMA: _read_request, JOB_SCHEMA: _read_job_work}
    reader = readers.get(values.get(b"v", b""))
    try:
        return reader(entry, values) if reader else None
    except (KeyError, ValueError, DecodeError):
        return None  # somebody's own hand: one entry must not keep a worker from all the others


def _read_request(entry: bytes, values: Mapping[bytes, bytes]) -> Work:
    asked = pb.Params.FromString(values[b"p"])
    return Work(
        entry=entry,
        token=values[b"i"],
        front_end=values[b"r"].decode(),
        deadline_ms=int(values[b"d"]),
        size=int(values[b"s"]),
        id=asked.id,
        options=_options(asked),
        image=values[b"x"],
        trace=asked.traceparent,
    )


def _read_job_work(entry: bytes, values: Mapping[bytes, bytes]) -> Work:
    job, index = values[b"j"].decode(), int(values[b"n"])
    return Work(entry, b"", "", 0, 0, f"{job}/{index}", read_options(values[b"p"]), b"", Place(job, index))


def write_item(item: Item) -> bytes:
    """One input of a job."""
    message = pb.Item(name=item.name, uri=item.uri) if item.uri else pb.Item(name=item.name, image=item.image)
    return message.SerializeToString()


def read_item(body: bytes) -> Item:
    """The input that a front-end wrote."""
    item = pb.Item.FromString(body)
    return Item(item.name, item.image, item.uri)


def write_reply(outcome: Outcome) -> bytes:
    """Body of the reply that hands `outcome` to its caller."""
    if isinstance(outcome, Answer):
        answer = from_answer(outcome).SerializeToString()
        return pb.Reply(answer=answer, ended_ns=outcome.timing.ended_ns).SerializeToString()
    failure = pb.Failure(code=outcome.code.value, message=str(outcome))
    if isinstance(outcome, InvalidInput):
        failure.field, failure.limit, failure.value = outcome.field, outcome.limit, str(outcome.value)
        failure.image = isinstance(outcome, BadImage)
    return pb.Reply(failure=failure).SerializeToString()


def read_reply(body: bytes) -> Outcome:
    """The outcome that a worker wrote."""
    reply = pb.Reply.FromString(body)
    if reply.WhichOneof("outcome") == "answer":
        answer = to_answer(classifier_pb2.ClassifyResponse.FromString(reply.answer))
        return replace(answer, timing=replace(answer.timing, ended_ns=reply.ended_ns)) if reply.ended_ns else answer
    failure = reply.failure
    if failure.code == Code.INVALID.value:
        return (BadImage if failure.image else InvalidInput)(failure.field, failure.limit, failure.value)
    return _KINDS.get(failure.code, EngineFailed)(failure.message)
