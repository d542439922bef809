"""What gRPC reports -> the errors of `service.core.errors`, so that one `except ServiceError` catches them all."""

from __future__ import annotations

import grpc
from google.rpc.status_pb2 import Status

from service.core.errors import NotReady, ServiceError, TooLate
from service.rpc.errors import DETAILS_KEY, status_code, to_error


class ClientError(ServiceError):
    """A failure that is none of Vitrine's own errors: an internal error of the server, or gRPC's word on a call."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(f"{status.name}: {message}")
        self.status = status
        self.message = message


def from_rpc_error(error: grpc.aio.AioRpcError) -> ServiceError:
    """The error that the server raised, or what gRPC says when the server had no part in it."""
    packed = dict(error.trailing_metadata()).get(DETAILS_KEY)
    if isinstance(packed, bytes):
        return from_status(Status.FromString(packed))
    return _plain(error.code(), error.details() or "no details")


def from_status(status: Status) -> ServiceError:
    """The error behind a rich status."""
    return to_error(status) or ClientError(status_code(status), status.message)


def _plain(code: grpc.StatusCode, message: str) -> ServiceError:
    # Who cancels a call of its own sees no status; so this was a server that shut down with the call under way.
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        return NotReady(message)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return TooLate(message)
    return ClientError(code, message)
