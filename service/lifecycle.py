"""A serving process from start to exit: live, then ready, then draining, then gone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NoReturn, Protocol

from service.core.errors import ServiceError


class Door(Protocol):
    """One way in."""

    async def start(self) -> int:
        """Listen, and return the port; raises `ServiceError` when the address cannot be had."""

    async def stop(self, grace_s: float) -> None:
        """Take nothing new, wait up to `grace_s` seconds for what is in flight, cancel the rest."""


class HealthyDoor(Door, Protocol):
    """A way in that has health checks of its own."""

    async def set_serving(self, *, serving: bool) -> None:
        """Tell them whether requests may be sent."""


class Inside(Protocol):
    """Where the doors lead."""

    def leave(self) -> None:
        """Have callers told to go elsewhere; who comes all the same is answered."""

    def close(self) -> None:
        """Refuse whatever comes from now on; what is in flight goes on."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a process listens."""

    grpc: int
    http: int


async def nothing() -> None:
    """Nothing is to be prepared."""


class Lifecycle:
    """Runs one serving process until SIGTERM or SIGINT; a second signal ends it at once.

    What is `behind` the doors is entered before they open and left after they are closed. `prepare` is awaited once,
    with the doors open; from then on `follow` is called every `poll_s` seconds to bring what is served up to date. The
    HTTP door closes last, so that probes and metrics can be read while the process drains. For `linger_s` seconds calls
    are still answered while the health checks say already that none should come.
    """

    def __init__(
        self,
        inside: Inside,
        grpc: HealthyDoor,
        http: Door,
        ready: Callable[[], tuple[bool, str]],
        *,
        behind: Sequence[AbstractAsyncContextManager[object]],
        follow: Callable[[], Awaitable[None]],
        prepare: Callable[[], Awaitable[None]] = nothing,
        poll_s: float,
        grace_s: float,
        linger_s: float = 0.0,
        warn: Callable[[str], None],
    ) -> None:
        self._prepare = prepare
        self._behind = behind
        self._follow_once = follow
        self._inside = inside
        self._grpc = grpc
        self._http = http
        self._ready = ready
        self._poll_s = poll_s
        self._grace_s = grace_s
        self._linger_s = linger_s
        self._warn = warn

    async def run(self, listening: Callable[[Ports], None]) -> None:
        """Serve until a signal comes, then drain. `listening` is told the ports.

        Raises `ServiceError` when a port cannot be had, and what `prepare` and the first `follow` raise.
        """
        with signals() as stop:
            async with contextlib.AsyncExitStack() as behind:
                for part in self._behind:
                    await behind.enter_async_context(part)
                listening(Ports(await self._grpc.start(), await self._http.start()))
                following = asyncio.create_task(self._follow())
                stopping = asyncio.create_task(stop.wait())
                await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                await self._drain()
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await following

    async def _follow(self) -> None:
        await self._prepare()
        await keep_up(self._follow_once, self._poll_s, self._warn, then=self._say)

    async def _say(self) -> None:
        """Tell whoever watches the health whether requests may be sent."""
        serving, _ = self._ready()
        await self._grpc.set_serving(serving=serving)

    async def _drain(self) -> None:
        # Whoever watches the health goes elsewhere first: gRPC cancels calls that arrive while a server closes.
        self._inside.leave()
        await self._grpc.set_serving(serving=False)
        await asyncio.sleep(self._linger_s)
        self._inside.close()
        await self._grpc.stop(self._grace_s)
        await self._http.stop(self._grace_s)


async def keep_up(
    follow: Callable[[], Awaitable[None]],
    poll_s: float,
    warn: Callable[[str], None],
    *,
    then: Callable[[], Awaitable[None]] = nothing,
) -> NoReturn:
    """Bring what is served up to date again and again, and do what comes `then`. Raises what the first time raises."""
    await follow()
    _keep_for_good()
    while True:
        await then()
        await asyncio.sleep(poll_s)
        try:
            await follow()
        except ServiceError as error:
            warn(f"the served models stay as they are: {error}")


def _keep_for_good() -> None:
    """Have the garbage collector pass over what start-up has made: it lives as long as the process.

    Looking through all of it took 100 ms each time, in which nobody was answered: the p99 of W2's batches was twice as
    long, and a tenth fewer were answered (`python -m tests.bench`).
    """
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def signals() -> Iterator[asyncio.Event]:
    """An event that the first SIGTERM or SIGINT sets; the second one ends the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def received(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in numbers:
        loop.add_signal_handler(number, received, number)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
