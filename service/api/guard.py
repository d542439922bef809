"""Where errors become statuses: around every method of every servicer, built once instead of per call.

A `grpc.aio` interceptor would be asked again at each call; a decorator costs one coroutine frame.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import structlog
from google.rpc.status_pb2 import Status

from service.core.errors import Cancelled, ServiceError
from service.rpc.errors import DETAILS_KEY, internal, status_code, to_status

Servicer = TypeVar("Servicer")
Asked = TypeVar("Asked")
Answered = TypeVar("Answered")
Context = grpc.aio.ServicerContext[Any, Any]

_log = structlog.get_logger("vitrine.api")


async def outcome(call: Awaitable[Answered]) -> Answered | Status:
    """The answer, or the status that tells the caller why there is none. Cancellation passes through."""
    try:
        return await call
    except Exception as error:  # noqa: BLE001 - the edge: a caller gets a status for whatever happened
        return describe(error)


def describe(error: Exception) -> Status:
    """Our own errors speak for themselves; a bug is logged under an id, which is all that the caller is told.

    gRPC raises `InternalError` where a message could not be handed over, because the caller left while it was written.
    """
    if isinstance(error, ServiceError):
        return to_status(error)
    if isinstance(error, grpc.aio.InternalError):
        return to_status(Cancelled("the caller left while it was answered"))
    error_id = uuid.uuid4().hex[:12]
    _log.error("internal error", error_id=error_id, exc_info=error)
    return internal(error_id)


def guarded(
    method: Callable[[Servicer, Asked, Context], Awaitable[Answered]],
) -> Callable[[Servicer, Asked, Context], Awaitable[Answered]]:
    """Let a servicer's method raise `ServiceError` and anything else; its caller reads a rich status."""

    @functools.wraps(method)
    async def call(servicer: Servicer, asked: Asked, context: Context) -> Answered:
        result = await outcome(method(servicer, asked, context))
        if isinstance(result, Status):
            await _abort(context, result)
        return result

    return call


async def refuse(context: Context, error: ServiceError) -> None:
    """End a call with this error; raises what ends it."""
    await _abort(context, to_status(error))


async def _abort(context: Context, status: Status) -> None:
    await context.abort(status_code(status), status.message, ((DETAILS_KEY, status.SerializeToString()),))
