"""A serving process from start to exit: live, then ready, then draining, then gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from service.catalog import Catalog
from service.core.errors import ServiceError
from service.dispatch import Dispatcher


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


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a process listens."""

    grpc: int
    http: int


class Lifecycle:
    """Runs one serving process until SIGTERM or SIGINT; a second signal ends it at once.

    The HTTP door closes last, so that probes and metrics can be read while the process drains.
    """

    def __init__(
        self,
        catalog: Catalog,
        dispatcher: Dispatcher,
        grpc: HealthyDoor,
        http: Door,
        ready: Callable[[], tuple[bool, str]],
        *,
        poll_s: float,
        grace_s: float,
        warn: Callable[[str], None],
    ) -> None:
        self._catalog = catalog
        self._dispatcher = dispatcher
        self._grpc = grpc
        self._http = http
        self._ready = ready
        self._poll_s = poll_s
        self._grace_s = grace_s
        self._warn = warn

    async def run(self, listening: Callable[[Ports], None]) -> None:
        """Serve until a signal comes, then drain. `listening` is told the ports.

        Raises `ServiceError` when a port cannot be had, or when the store cannot be read at the start.
        """
        with _signals() as stop:
            listening(Ports(await self._grpc.start(), await self._http.start()))
            following = asyncio.create_task(self._follow())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            await self._drain()
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            await self._catalog.close()

    async def _follow(self) -> None:
        await self._catalog.follow()
        while True:
            serving, _ = self._ready()
            await self._grpc.set_serving(serving=serving)
            await asyncio.sleep(self._poll_s)
            try:
                await self._catalog.follow()
            except ServiceError as error:
                self._warn(f"the served models stay as they are: {error}")

    async def _drain(self) -> None:
        self._dispatcher.close()
        await self._grpc.set_serving(serving=False)
        await self._grpc.stop(self._grace_s)
        await self._http.stop(self._grace_s)


@contextlib.contextmanager
def _signals() -> Iterator[asyncio.Event]:
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
