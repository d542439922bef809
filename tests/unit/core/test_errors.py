from __future__ import annotations

import inspect

import pytest

from service.core import errors
from service.core.errors import BadImage, Code, InvalidInput, Overloaded, Reason, ServiceError


def test_a_bad_input_names_field_limit_and_value() -> None:
    """The caller reads in one line what was wrong, what is allowed, and what came."""
    error = BadImage("image", "at most 10 bytes", "11 bytes")

    assert str(error) == "image: at most 10 bytes, got 11 bytes"
    assert (error.field, error.limit, error.value) == ("image", "at most 10 bytes", "11 bytes")
    assert isinstance(error, InvalidInput)


def test_shed_work_says_why_and_when_to_come_back() -> None:
    """Overload carries a machine-readable reason and a delay beside its message."""
    error = Overloaded(Reason.FULL, "queue: at most 8 entries, got 9", 0.25)

    assert str(error) == "queue: at most 8 entries, got 9"
    assert (error.reason, error.retry_after_s) == (Reason.FULL, 0.25)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("InvalidInput", Code.INVALID),
        ("BadImage", Code.INVALID),
        ("NoSuchModel", Code.NOT_FOUND),
        ("Refused", Code.REFUSED),
        ("Overloaded", Code.OVERLOADED),
        ("NotReady", Code.NOT_READY),
        ("TooLate", Code.TOO_LATE),
        ("Cancelled", Code.CANCELLED),
        ("EngineFailed", Code.FAILED),
    ],
)
def test_an_error_knows_whose_fault_it_is(name: str, code: Code) -> None:
    """Each error has one neutral code, which the edges translate."""
    assert getattr(errors, name).code is code


def test_every_error_may_be_caught_as_one() -> None:
    """Whatever the core raises on purpose is a `ServiceError`."""
    raised = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, Exception)]

    assert errors.TooLate in raised
    assert all(issubclass(error, ServiceError) for error in raised)
