"""What every part of the blocking client stands on: an `AsyncClient` on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from service.client.aio import AsyncClient
from service.client.caller import MAX_MESSAGE_BYTES
from service.client.credentials import Credentials
from service.client.retry import Retry

Returned = TypeVar("Returned")
Item = TypeVar("Item")


class Threaded:
    """Runs the calls of an `AsyncClient`; may be shared by threads."""

    def __init__(
        self,
        server: str = "127.0.0.1:50051",
        *,
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        credentials: Credentials | None = None,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vitrine client", daemon=True)
        self._thread.start()

        async def connect() -> AsyncClient:
            return AsyncClient(
                server, timeout_s=timeout_s, retry=retry, max_message_bytes=max_message_bytes, credentials=credentials
            )

        self._client = self._run(connect())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and end the thread; a second time does nothing."""
        if self._loop.is_closed():
            return
        self._run(self._client.close())
        self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Returned]) -> Returned:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _each(self, items: AsyncGenerator[Item, None]) -> Iterator[Item]:
        """The items as they come; leaving the loop ends the work behind them."""
        nothing = object()

        async def following() -> Any:
            return await anext(items, nothing)

        try:
            while (item := self._run(following())) is not nothing:
                yield item
        finally:
            self._run(items.aclose())
