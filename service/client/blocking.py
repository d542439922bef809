"""The same client for code without an event loop: `AsyncClient` on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from service.client.aio import MAX_MESSAGE_BYTES, AsyncClient
from service.client.retry import Retry
from service.client.values import Image, ModelInfo, Result
from service.core.messages import Answer, Options

Returned = TypeVar("Returned")
_DEFAULTS = Options()


class Client:
    """`AsyncClient`, blocking; may be shared by threads. Arguments and errors are the same."""

    def __init__(
        self,
        server: str = "127.0.0.1:50051",
        *,
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vitrine client", daemon=True)
        self._thread.start()

        async def connect() -> AsyncClient:
            return AsyncClient(server, timeout_s=timeout_s, retry=retry, max_message_bytes=max_message_bytes)

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

    def classify(
        self,
        image: Image,
        *,
        model: str,
        version: int = 0,
        options: Options = _DEFAULTS,
        id: str = "",
        timeout_s: float | None = None,
    ) -> Answer:
        """Classify one picture, given as bytes or as a file."""
        return self._run(
            self._client.classify(image, model=model, version=version, options=options, id=id, timeout_s=timeout_s)
        )

    def classify_many(
        self,
        images: Iterable[Image],
        *,
        model: str,
        version: int = 0,
        options: Options = _DEFAULTS,
        concurrency: int = 16,
    ) -> Iterator[Result]:
        """Classify pictures as they are produced, at most `concurrency` at once; results come as they are ready."""
        results = self._client.classify_many(
            images, model=model, version=version, options=options, concurrency=concurrency
        )

        async def following() -> Result | None:
            return await anext(results, None)

        try:
            while (result := self._run(following())) is not None:
                yield result
        finally:
            self._run(results.aclose())

    def models(self) -> list[ModelInfo]:
        """Every version of every model that the server knows."""
        return self._run(self._client.models())

    def model(self, name: str, version: int = 0) -> ModelInfo:
        """One version, 0 for the latest; raises `NoSuchModel`."""
        return self._run(self._client.model(name, version))

    def load(self, name: str, version: int = 0, *, timeout_s: float = 120.0) -> ModelInfo:
        """Have the server load a version of its store, and wait until it is ready or has failed."""
        return self._run(self._client.load(name, version, timeout_s=timeout_s))

    def unload(self, name: str, version: int = 0, *, timeout_s: float = 120.0) -> None:
        """Have the server unload a version (0: every one) when what is in flight is answered."""
        self._run(self._client.unload(name, version, timeout_s=timeout_s))

    def _run(self, work: Coroutine[Any, Any, Returned]) -> Returned:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
