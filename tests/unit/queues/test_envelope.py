"""What is written into Redis can be read again, by older and newer processes too."""

from __future__ import annotations

import math

import pytest

from service.core.errors import (
    BadImage,
    Cancelled,
    EngineFailed,
    InvalidInput,
    NoSuchModel,
    NotReady,
    Refused,
    ServiceError,
    TooLate,
)
from service.core.messages import Answer, ModelKey, Options, Prediction, Request, Timing
from service.queues import envelope
from service.rpc.pb.vitrine.internal import queue_pb2 as pb

ANSWER = Answer(
    "id",
    ModelKey("digits", 7),
    "5f" * 32,
    (Prediction("seven", 7, 0.75), Prediction("one", 1, 0.25)),
    (1.5, -2.25),
    Timing(1, 2, 3, 4, "cpu fp32"),
)


def fields(**changes: bytes) -> list[bytes]:
    """An entry as Redis returns it."""
    request = Request("ß", ModelKey("digits", 7), b"image", Options(3, 0.1, logits=True, pixels=True))
    options = envelope.params(request.id, request.options)
    values = {"v": b"1", "i": b"token", "d": b"5", "r": b"fe", "s": b"5", "p": options, "x": b"image"}
    return [part for name, value in {**values, **changes}.items() for part in (name.encode(), value)]


def test_work_is_read_as_it_was_written() -> None:
    """Every field, numbers to the bit."""
    work = envelope.read_work(b"123-4", fields())

    assert work is not None
    assert (work.id, work.options) == ("ß", Options(3, 0.1, logits=True, pixels=True))
    assert (work.entry, work.token, work.front_end, work.deadline_ms, work.size) == (b"123-4", b"token", "fe", 5, 5)
    assert (work.image, work.queued_ms) == (b"image", 123)


def test_work_of_another_schema_is_not_ours() -> None:
    """It is left to workers that know it."""
    assert envelope.read_work(b"1-0", fields(v=b"2")) is None


def test_new_fields_do_no_harm() -> None:
    """A newer front-end may say more."""
    assert envelope.read_work(b"1-0", fields(t=b"00-trace")) is not None


def test_an_answer_is_read_as_it_was_written() -> None:
    """Scores and logits to the bit."""
    assert envelope.read_reply(envelope.write_reply(ANSWER)) == ANSWER


@pytest.mark.parametrize("kind", [NoSuchModel, Refused, NotReady, TooLate, Cancelled, EngineFailed])
def test_an_error_keeps_kind_and_message(kind: type[ServiceError]) -> None:
    """Callers see what they would have seen from a queue in their process."""
    read = envelope.read_reply(envelope.write_reply(kind("why")))

    assert (type(read), str(read)) == (kind, "why")


@pytest.mark.parametrize("kind", [InvalidInput, BadImage])
def test_the_callers_mistake_keeps_field_limit_and_value(kind: type[InvalidInput]) -> None:
    """Value as text."""
    read = envelope.read_reply(envelope.write_reply(kind("image", "at most 5 bytes", 6)))

    assert isinstance(read, InvalidInput)
    assert (type(read), read.field, read.limit, read.value) == (kind, "image", "at most 5 bytes", "6")


def test_a_code_from_the_future_is_a_failure() -> None:
    """With its message."""
    body = pb.Reply(failure=pb.Failure(code="TIRED", message="later")).SerializeToString()

    assert str(envelope.read_reply(body)) == "later"
    assert isinstance(envelope.read_reply(body), EngineFailed)


@pytest.mark.parametrize(("deadline", "left"), [(math.inf, -1), (10.0, 0), (10.0001, 1), (12.5, 2500), (9.0, 0)])
def test_deadlines_travel_as_what_is_left(deadline: float, left: int) -> None:
    """In whole milliseconds, rounded up; -1 is none."""
    assert envelope.left_ms(deadline, now=10.0) == left
