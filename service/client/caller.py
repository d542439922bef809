"""What every part of the async client stands on: one connection, deadlines, and calls that are tried again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from service.client.credentials import Credentials
from service.client.failures import from_rpc_error
from service.client.retry import Retry
from service.client.values import Image
from service.core.errors import InvalidInput, TooLate

Replied = TypeVar("Replied")
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class Caller:
    """A connection to one server; to be made where the event loop runs.

    Without `credentials`, those of the environment count (`Credentials.from_environment`).
    """

    def __init__(
        self,
        server: str = "127.0.0.1:50051",
        *,
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        credentials: Credentials | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._retry = retry or Retry()
        self._max_message_bytes = max_message_bytes
        known = credentials or Credentials.from_environment()
        self._channel = known.channel(server, _options(max_message_bytes))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls in flight are cancelled."""
        await self._channel.close()

    async def _bytes(self, image: Image) -> bytes:
        """The encoded picture; raises `OSError` for a file that cannot be read, `InvalidInput` for one too long."""
        return image if isinstance(image, bytes) else await asyncio.to_thread(read, image, self._max_message_bytes)

    async def _call(self, call: Callable[[float], Awaitable[Replied]], timeout_s: float | None = None) -> Replied:
        """What `call`, given the seconds that are left, returns; tried again where that is worth it."""
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        attempt, waited_s = 0, 0.0
        while True:
            try:
                return await call(deadline - time.monotonic())
            except grpc.aio.AioRpcError as failure:
                error = from_rpc_error(failure)
            wait_s = self._retry.wait_s(error, attempt, waited_s, random.random())  # noqa: S311 - jitter, no secret
            if wait_s is None:
                raise error
            if time.monotonic() + wait_s >= deadline:
                raise TooLate(f"the deadline leaves no time to try again after: {error}") from error
            await asyncio.sleep(wait_s)
            attempt, waited_s = attempt + 1, waited_s + wait_s

    async def _stream(
        self, call: Callable[[float], grpc.aio.UnaryStreamCall[Any, Replied]], timeout_s: float | None = None
    ) -> AsyncGenerator[Replied, None]:
        """The messages of a streamed answer; tried again until the first one is there. Leaving it cancels the call."""

        async def begin(left_s: float) -> tuple[grpc.aio.UnaryStreamCall[Any, Replied], Any]:
            opened = call(left_s)
            return opened, await opened.read()

        opened, message = await self._call(begin, timeout_s)
        try:
            while message is not grpc.aio.EOF:
                yield message
                message = await opened.read()
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure
        finally:
            opened.cancel()


def read(path: str | Path, max_bytes: int) -> bytes:
    """The file's bytes; one too long to be sent is not read into memory first."""
    size = Path(path).stat().st_size
    if size > max_bytes:
        raise InvalidInput("image", f"at most {max_bytes} bytes, the message limit", f"{size} bytes")
    return Path(path).read_bytes()


def _options(max_message_bytes: int) -> list[tuple[str, int | str]]:
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        # A server that restarts shall be found again within the retry budget; the default goes up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
