"""Errors say whose fault it is and carry a neutral code; the edges translate codes to gRPC or HTTP."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

#: What a caller sent is not given back at length; gRPC's trailing metadata hold 8 KiB in all, escaped and as base64.
MAX_TEXT_BYTES = 500


def brief(text: str) -> str:
    """The text, or as much of it as fits into `MAX_TEXT_BYTES` of UTF-8 with an ellipsis."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= MAX_TEXT_BYTES:
        return encoded.decode()
    return f"{encoded[: MAX_TEXT_BYTES - len('…'.encode())].decode(errors='ignore')}…"


class Code(Enum):
    """What went wrong, in words that belong to no protocol."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    REFUSED = "REFUSED"
    OVERLOADED = "OVERLOADED"
    NOT_READY = "NOT_READY"
    TOO_LATE = "TOO_LATE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    UNSUPPORTED = "UNSUPPORTED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"


class Reason(Enum):
    """Why work was shed: the machine-readable half of `Overloaded`."""

    FULL = "FULL"  #: the queue holds its maximum of entries
    BYTES = "BYTES"  #: the queue holds its maximum of payload bytes
    LATE = "LATE"  #: the estimated wait is longer than the caller's deadline
    NO_WORKERS = "NO_WORKERS"  #: nobody serves this model just now
    CALLER_RATE = "CALLER_RATE"  #: this caller asks more often than it may
    CALLER_BYTES = "CALLER_BYTES"  #: this caller sends more bytes than it may
    CALLER_CONCURRENCY = "CALLER_CONCURRENCY"  #: this caller has as many calls open as it may


class ServiceError(Exception):
    """Base of every error that a caller may see. `str(error)` is the whole message."""

    code: ClassVar[Code] = Code.FAILED


class InvalidInput(ServiceError):
    """The caller's mistake: `field` broke `limit` with `value`. Sending it again cannot help."""

    code = Code.INVALID

    def __init__(self, field: str, limit: str, value: object) -> None:
        super().__init__(f"{field}: {limit}, got {value}")
        self.field = field
        self.limit = limit
        self.value = value


class BadImage(InvalidInput):
    """The bytes are not an image that Vitrine accepts."""


class NoSuchModel(ServiceError):
    """No model, or no version of it, under that name."""

    code = Code.NOT_FOUND


class NoSuchLayer(ServiceError):
    """The model has no layer under that name; the message names the nearest ones."""

    code = Code.NOT_FOUND


class NoSuchPicture(ServiceError):
    """No picture is kept under that id."""

    code = Code.NOT_FOUND


class NoSuchPrediction(ServiceError):
    """No request is logged under that id."""

    code = Code.NOT_FOUND


class NoSuchJob(ServiceError):
    """No job is kept under that id."""

    code = Code.NOT_FOUND


class OverBudget(ServiceError):
    """The answer would be larger than allowed. The message says how large, and what would fit; waiting cannot help."""

    code = Code.OVERLOADED


class Refused(ServiceError):
    """The request is well formed, but the system's state or configuration rules it out."""

    code = Code.REFUSED


class Overloaded(ServiceError):
    """Shed at admission. `retry_after_s` is when trying again is worth it, in seconds."""

    code = Code.OVERLOADED

    def __init__(self, reason: Reason, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Unsupported(ServiceError):
    """A part of a protocol that this server does not offer."""

    code = Code.UNSUPPORTED


class Unauthenticated(ServiceError):
    """The caller did not prove who it is."""

    code = Code.UNAUTHENTICATED


class Forbidden(ServiceError):
    """The caller is known, and may not do this."""

    code = Code.FORBIDDEN


class NotReady(ServiceError):
    """The server or the model cannot answer yet, or not any more."""

    code = Code.NOT_READY


class TooLate(ServiceError):
    """The deadline passed before an answer was computed."""

    code = Code.TOO_LATE


class Cancelled(ServiceError):
    """The caller left; nobody reads this."""

    code = Code.CANCELLED


class EngineFailed(ServiceError):
    """The engine failed on this very item; its neighbours in the batch were answered."""

    code = Code.FAILED
