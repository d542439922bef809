"""Errors of the core <-> `google.rpc.Status` with the standard details (AIP-193)."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from service.core.errors import (
    BadImage,
    Cancelled,
    Code,
    EngineFailed,
    Forbidden,
    InvalidInput,
    NoSuchJob,
    NoSuchLayer,
    NoSuchModel,
    NoSuchPicture,
    NoSuchPrediction,
    NotReady,
    OverBudget,
    Overloaded,
    Reason,
    Refused,
    ServiceError,
    TooLate,
    Unauthenticated,
    Unsupported,
    brief,
)

DOMAIN = "vitrine"
#: The metadata key under which gRPC carries a serialised `google.rpc.Status`.
DETAILS_KEY = "grpc-status-details-bin"
#: `ErrorInfo.reason` of an error that is the server's own bug.
INTERNAL = "INTERNAL"

STATUS: Mapping[Code, grpc.StatusCode] = {
    Code.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    Code.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    Code.TOO_LATE: grpc.StatusCode.DEADLINE_EXCEEDED,
    Code.CANCELLED: grpc.StatusCode.CANCELLED,
    Code.FAILED: grpc.StatusCode.INTERNAL,
    Code.UNSUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    Code.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Code.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
}

#: `ErrorInfo.reason` of every error but `Overloaded`, which has its own.
REASONS: Mapping[type[ServiceError], str] = {
    InvalidInput: "INVALID_INPUT",
    BadImage: "BAD_IMAGE",
    NoSuchModel: "NO_SUCH_MODEL",
    NoSuchLayer: "NO_SUCH_LAYER",
    NoSuchPicture: "NO_SUCH_PICTURE",
    NoSuchJob: "NO_SUCH_JOB",
    NoSuchPrediction: "NO_SUCH_PREDICTION",
    OverBudget: "OVER_BUDGET",
    Refused: "REFUSED",
    NotReady: "NOT_READY",
    TooLate: "TOO_LATE",
    Cancelled: "CANCELLED",
    EngineFailed: "ENGINE_FAILED",
    Unsupported: "UNSUPPORTED",
    Unauthenticated: "UNAUTHENTICATED",
    Forbidden: "FORBIDDEN",
    ServiceError: "FAILED",
}
_ERRORS = {reason: error for error, reason in REASONS.items()}


def to_status(error: ServiceError) -> Status:
    """The status that tells a caller what went wrong, whose fault it is, and when to try again."""
    info = ErrorInfo(reason=_reason(error), domain=DOMAIN)
    details: list[Message] = [info]
    if isinstance(error, InvalidInput):
        info.metadata.update(field=brief(error.field), limit=brief(error.limit), value=brief(str(error.value)))
        details.append(BadRequest(field_violations=[_violation(error)]))
    if isinstance(error, Overloaded):
        delay = RetryInfo()
        delay.retry_delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        details.append(delay)
    return _status(STATUS[error.code], str(error), details)


def internal(error_id: str) -> Status:
    """The status of a bug: an id to find the traceback in the server's log by, and nothing else."""
    info = ErrorInfo(reason=INTERNAL, domain=DOMAIN, metadata={"error_id": error_id})
    return _status(grpc.StatusCode.INTERNAL, f"internal error, logged as {error_id}", [info])


def to_error(status: Status) -> ServiceError | None:
    """The error that a Vitrine server made `status` of; None when it was not one of these."""
    info, delay = ErrorInfo(), RetryInfo()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(delay)
    if info.domain != DOMAIN:
        return None
    if info.reason in Reason.__members__:
        return Overloaded(Reason[info.reason], status.message, delay.retry_delay.ToNanoseconds() / 1e9)
    kind = _ERRORS.get(info.reason)
    if kind is not None and issubclass(kind, InvalidInput):
        return kind(info.metadata["field"], info.metadata["limit"], info.metadata["value"])
    return kind(status.message) if kind is not None else None


def status_code(status: Status) -> grpc.StatusCode:
    """Name the number in `status` as gRPC does."""
    return _BY_NUMBER[status.code]


_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


def _status(code: grpc.StatusCode, message: str, details: list[Message]) -> Status:
    status = Status(code=code.value[0], message=brief(message))
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _reason(error: ServiceError) -> str:
    if isinstance(error, Overloaded):
        return error.reason.value
    return next(REASONS[kind] for kind in type(error).__mro__ if kind in REASONS)


def _violation(error: InvalidInput) -> BadRequest.FieldViolation:
    return BadRequest.FieldViolation(field=brief(error.field), description=brief(str(error)), reason=_reason(error))
