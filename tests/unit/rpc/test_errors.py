"""One table says how every error looks on the wire."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from service.core.errors import (
    BadImage,
    Cancelled,
    Code,
    EngineFailed,
    InvalidInput,
    NoSuchLayer,
    NoSuchModel,
    NoSuchPicture,
    NotReady,
    OverBudget,
    Overloaded,
    Reason,
    Refused,
    ServiceError,
    TooLate,
)
from service.rpc.errors import REASONS, STATUS, internal, to_error, to_status

OVERLOADED = Overloaded(Reason.BYTES, "queue full", 0.25)
ERRORS = [
    InvalidInput("top_k", "0 to 1000", 1001),
    BadImage("image", "must be a picture", "text"),
    NoSuchModel("no model 'cats'"),
    NoSuchLayer("no layer 'conv9'"),
    NoSuchPicture("no picture '5f'"),
    OverBudget("12 MB is more than 8 MB"),
    Refused("the store is read-only"),
    OVERLOADED,
    NotReady("loading"),
    TooLate("the deadline passed"),
    Cancelled("the caller left"),
    EngineFailed("the session failed"),
]


def test_every_code_has_a_status() -> None:
    """No code can reach the edge without a word for it in gRPC."""
    assert set(Code) == set(STATUS)


def test_every_error_has_a_reason() -> None:
    """A new error class must say what its machine-readable reason is."""
    kinds, todo = set(), [ServiceError]
    while todo:
        kind = todo.pop()
        kinds.add(kind)
        todo += kind.__subclasses__()
    ours = {kind for kind in kinds if kind.__module__ == "service.core.errors"}

    assert ours == {*REASONS, Overloaded}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_the_wire(error: ServiceError) -> None:
    """The SDK raises what the server raised: same class, same message."""
    back = to_error(Status.FromString(to_status(error).SerializeToString()))

    assert type(back) is type(error)
    assert str(back) == str(error)


def test_invalid_input_names_the_field() -> None:
    """The caller's mistake carries a field violation and the three facts of its message."""
    status = to_status(InvalidInput("min_score", "0 to 1", 1.5))
    info, bad = ErrorInfo(), BadRequest()
    status.details[0].Unpack(info)
    status.details[1].Unpack(bad)

    assert status.code == 3
    assert info.domain == "vitrine"
    assert dict(info.metadata) == {"field": "min_score", "limit": "0 to 1", "value": "1.5"}
    assert [(v.field, v.description) for v in bad.field_violations] == [("min_score", "min_score: 0 to 1, got 1.5")]


def test_overload_says_when_to_come_back() -> None:
    """What was shed carries its reason and a delay."""
    status = to_status(OVERLOADED)
    info, retry = ErrorInfo(), RetryInfo()
    status.details[0].Unpack(info)
    status.details[1].Unpack(retry)
    back = to_error(status)

    assert status.code == 8
    assert info.reason == "BYTES"
    assert retry.retry_delay.ToTimedelta().total_seconds() == 0.25
    assert isinstance(back, Overloaded)
    assert (back.reason, back.retry_after_s) == (Reason.BYTES, 0.25)


@pytest.mark.parametrize("letter", ["x", "ü", "鳥"])
def test_a_long_message_fits_the_trailers(letter: str) -> None:
    """What a caller sent comes back shortened, in any script: trailers hold 8 KiB, and escape it."""
    status = to_status(InvalidInput("inputs." + letter * 100_000, "a short name", letter * 100_000))
    escaped, packed = quote(status.message), b64encode(status.SerializeToString())

    assert len(escaped) + len(packed) < 7_000
    assert status.message.startswith("inputs." + letter * 100)
    assert status.message.endswith(letter + "…")


def test_a_bug_is_not_one_of_our_errors() -> None:
    """An internal error tells its id and nothing that a client could take for a `ServiceError`."""
    status = internal("1f2e3d")

    assert status.code == 13
    assert status.message == "internal error, logged as 1f2e3d"
    assert to_error(status) is None


def test_a_stranger_s_status_is_not_read_as_ours() -> None:
    """Another service's error domain means nothing to us."""
    status = Status(code=5, message="gone")
    status.details.add().Pack(ErrorInfo(reason="NO_SUCH_MODEL", domain="elsewhere.example"))

    assert to_error(status) is None
