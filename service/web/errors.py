"""Errors as HTTP: one JSON object with the message that gRPC callers read, under the status that fits it."""

from __future__ import annotations

import math
import uuid
from collections.abc import Awaitable, Callable, Mapping

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.core.errors import Code, InvalidInput, Overloaded, ServiceError, brief

STATUS: Mapping[Code, int] = {
    Code.INVALID: 400,
    Code.NOT_FOUND: 404,
    Code.REFUSED: 412,
    Code.OVERLOADED: 429,
    Code.NOT_READY: 503,
    Code.TOO_LATE: 504,
    Code.CANCELLED: 499,
    Code.FAILED: 500,
    Code.UNSUPPORTED: 501,
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
}
#: Of what the HTTP server itself refuses.
_WORDS = {404: Code.NOT_FOUND.value, 405: "METHOD_NOT_ALLOWED", 413: "TOO_LARGE"}

_log = structlog.get_logger("vitrine.web")


def answer(error: ServiceError) -> Response:
    """The response that tells a caller what went wrong."""
    fields = {"field": brief(error.field), "limit": brief(error.limit)} if isinstance(error, InvalidInput) else {}
    # Whole seconds, rounded up: who comes back earlier is refused again.
    headers = {"retry-after": str(math.ceil(error.retry_after_s))} if isinstance(error, Overloaded) else {}
    return _response(STATUS[error.code], error.code.value, brief(str(error)), fields, headers)


async def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return answer(error)


async def _starlettes(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    word = _WORDS.get(error.status_code, "INVALID")
    return _response(error.status_code, word, error.detail, {}, error.headers or {})


async def _bug(_request: Request, error: Exception) -> Response:
    error_id = uuid.uuid4().hex[:12]
    _log.error("internal error", error_id=error_id, exc_info=error)
    return _response(500, Code.FAILED.value, f"internal error, logged as {error_id}", {}, {})


def _response(
    status: int, word: str, message: str, fields: Mapping[str, str], headers: Mapping[str, str]
) -> JSONResponse:
    error = {"code": status, "status": word, "message": message, **fields}
    return JSONResponse({"error": error}, status, headers={**headers, "cache-control": "no-store"})


#: For `Starlette(exception_handlers=...)`.
HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    ServiceError: _ours,
    HTTPException: _starlettes,
    Exception: _bug,
}
