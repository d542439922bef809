"""The process that computes, from start to exit: announced, draining, gone."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from service.lifecycle import Door, keep_up, signals
from service.supervision.tether import hold


class Working:
    """Works until the supervisor lets go or SIGTERM comes; a second signal ends it at once.

    `prepare` is awaited once. Then versions are loaded, each announced when it is warm, and `follow` brings them up to
    date every `poll_s` seconds. In the end `finish` answers what is leased, for `grace_s` seconds; what remains goes
    back to the queue. Once `lost` returns there is no queue that could take either, and the end comes at once.
    """

    def __init__(
        self,
        work: AbstractAsyncContextManager[object],
        http: Door,
        *,
        prepare: Callable[[], Awaitable[None]],
        follow: Callable[[], Awaitable[None]],
        stuck: Callable[[], str],
        finish: Callable[[], Coroutine[Any, Any, None]],
        lost: Callable[[], Coroutine[Any, Any, None]],
        poll_s: float,
        grace_s: float,
        warn: Callable[[str], None],
    ) -> None:
        self._work = work
        self._http = http
        self._prepare = prepare
        self._follow_once = follow
        self._stuck = stuck
        self._finish = finish
        self._lost = lost
        self._poll_s = poll_s
        self._grace_s = grace_s
        self._warn = warn

    async def run(self) -> None:
        """Work until told to stop. Raises what `prepare` and the first look at the models folder raise."""
        with signals() as stop:
            held = asyncio.create_task(hold(stop, self._stuck, sys.stdin.fileno(), sys.stdout.fileno()))
            async with self._work:
                await self._http.start()
                following = asyncio.create_task(self._follow())
                stopping = asyncio.create_task(stop.wait())
                await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
                following.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await following
                await self._drain()
            await self._http.stop(1)
            held.cancel()

    async def _follow(self) -> None:
        await self._prepare()
        await keep_up(self._follow_once, self._poll_s, self._warn)

    async def _drain(self) -> None:
        finishing, lost = asyncio.create_task(self._finish()), asyncio.create_task(self._lost())
        await asyncio.wait({finishing, lost}, timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED)
        if lost.done():
            self._warn("the queue is away: what is leased is given back when its leases end")
        elif not finishing.done():
            self._warn(f"{self._grace_s:g} s of grace are over: what is not computed goes back to the queue")
        for task in (finishing, lost):
            task.cancel()
        await asyncio.wait({finishing, lost})
        if not finishing.cancelled():
            finishing.result()
