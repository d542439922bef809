"""Bodies of requests, of which no more than a limit is ever held, compressed or not."""

from __future__ import annotations

import zlib

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from service.core.errors import Cancelled, InvalidInput

#: zlib's window sizes: with a gzip header, and with zlib's own, which is what HTTP calls deflate.
_WINDOWS = {"gzip": 31, "deflate": 15}


async def body_of(request: Request, max_bytes: int) -> bytes:
    """The body, unpacked.

    Raises `HTTPException` 413 when it is longer than `max_bytes`, `InvalidInput` if damaged, `Cancelled` when the
    client hangs up before its end.
    """
    unpack = _Unpacking(request.headers.get("content-encoding", "identity"))
    body = bytearray()
    try:
        async for chunk in request.stream():
            # One byte more than fits is enough to know: the rest is never unpacked.
            body += unpack(chunk, max_bytes + 1 - len(body))
            if len(body) > max_bytes:
                raise HTTPException(413, f"body: at most {max_bytes} bytes are taken")
    except ClientDisconnect:
        raise Cancelled("the client hung up before its request was complete") from None
    unpack.end()
    return bytes(body)


class _Unpacking:
    """Undoes one content coding."""

    def __init__(self, coding: str) -> None:
        if coding not in {"identity", *_WINDOWS}:
            raise HTTPException(415, f"content-encoding: identity, {' or '.join(_WINDOWS)}, got {coding}")
        self._coding = coding
        self._stream = zlib.decompressobj(_WINDOWS[coding]) if coding in _WINDOWS else None

    def __call__(self, chunk: bytes, limit: int) -> bytes:
        """What the chunk holds, `limit` bytes of it at most where it is packed."""
        if self._stream is None:
            return chunk
        try:
            return self._stream.decompress(chunk, limit)
        except zlib.error as error:
            raise InvalidInput("body", f"must be {self._coding}", error) from None

    def end(self) -> None:
        """Raise `InvalidInput` when something is missing."""
        if self._stream is not None and not self._stream.eof:
            raise InvalidInput("body", f"must be complete {self._coding}", "a part of it")
