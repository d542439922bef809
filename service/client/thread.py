"""What the blocking client stands on: an `AsyncClient` on a thread of its own, and methods that wait for its own."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from service.client.aio import AsyncClient

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
Item = TypeVar("Item")


def _made_like(
    make: Callable[Arguments, AsyncClient],
) -> Callable[
    [Callable[[Threaded, Callable[[], AsyncClient]], None]], Callable[Concatenate[Threaded, Arguments], None]
]:
    """For a constructor that takes the arguments of `make`, and is given what makes a client of them."""

    def decorated(
        start: Callable[[Threaded, Callable[[], AsyncClient]], None],
    ) -> Callable[Concatenate[Threaded, Arguments], None]:
        @functools.wraps(AsyncClient.__init__)
        def constructor(self: Threaded, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            start(self, functools.partial(make, *args, **kwargs))

        return constructor

    return decorated


class Threaded:
    """Runs the calls of an `AsyncClient`; may be shared by threads."""

    @_made_like(AsyncClient)
    def __init__(self, connect: Callable[[], AsyncClient]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vitrine client", daemon=True)
        self._thread.start()

        async def connected() -> AsyncClient:
            return connect()

        self._client = self._run(connected())

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


def blocking(
    method: Callable[Concatenate[AsyncClient, Arguments], Coroutine[Any, Any, Returned]],
) -> Callable[Concatenate[Threaded, Arguments], Returned]:
    """The method of the same arguments that waits for what `method` returns."""

    @functools.wraps(method)
    def call(self: Threaded, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        return self._run(method(self._client, *args, **kwargs))

    return call


def iterating(
    method: Callable[Concatenate[AsyncClient, Arguments], AsyncGenerator[Item, None]],
) -> Callable[Concatenate[Threaded, Arguments], Iterator[Item]]:
    """The method of the same arguments that waits for each item of `method`."""

    @functools.wraps(method)
    def call(self: Threaded, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Iterator[Item]:
        return self._each(method(self._client, *args, **kwargs))

    return call
