"""Keeps a worker's child process alive: a crash of native code costs its batch a second try, and nobody else anything.

It imports no engine and holds no models, so that nothing in it can crash the way a child does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable

import structlog

from service.core.errors import NotReady
from service.lifecycle import signals
from service.telemetry import levels

#: Exit code of a child that cannot do its work however often it is started: it has said why.
IMPOSSIBLE = 2
#: A child that lived this long in seconds did not die of its start.
_SETTLED_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
#: What a child may take to say its first word, and what it may need beyond its grace.
_START_S, _MARGIN_S = 60.0, 5.0
#: Silence is looked at in so many parts: a supervisor that was stopped itself must not take its own for the child's.
_PARTS = 4

Spawn = Callable[[str, int], Awaitable[Process]]
_log = structlog.get_logger("vitrine.supervisor")


class Supervisor:
    """Starts children by `spawn(name, restarts)`, one at a time, until SIGTERM or SIGINT.

    `release(name)` frees the leases of a dead child and returns how many there were. A child that has been silent for
    `silent_s` seconds is killed; one that is told to stop is given `grace_s` seconds.
    """

    def __init__(
        self, spawn: Spawn, release: Callable[[str], Awaitable[int]], *, silent_s: float, grace_s: float
    ) -> None:
        self._spawn = spawn
        self._release = release
        self._silent_s = silent_s
        self._grace_s = grace_s
        self._speaking: Process | None = None  #: the child, once it has said its first word

    async def run(self) -> int:
        """The exit code: 0 after a stop in order, 1 when the child had to be killed, 2 when it cannot work at all."""
        with signals() as stop:
            for number in levels.STEPS:
                asyncio.get_running_loop().add_signal_handler(number, self._change_level, number)
            restarts, early_deaths = 0, 0
            while True:
                name, born_s = _name(), time.monotonic()
                code = await self._life(await self._spawn(name, restarts), stop)
                if code not in {0, IMPOSSIBLE}:
                    await self._bury(name, code)
                if stop.is_set() or code == IMPOSSIBLE:
                    return code if code in {0, IMPOSSIBLE} else 1
                restarts += 1
                early_deaths = early_deaths + 1 if time.monotonic() - born_s < _SETTLED_S else 1
                await _pause(stop, pause_s(early_deaths))
                if stop.is_set():
                    return 0

    async def _life(self, child: Process, stop: asyncio.Event) -> int:
        """Attend a child to its end; its exit code, negative for the signal that ended it."""
        attending = asyncio.create_task(self._attend(child))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({attending, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not attending.done():
            assert child.stdin is not None
            child.stdin.close()
            await asyncio.wait({attending}, timeout=self._grace_s + _MARGIN_S)
        if not attending.done():
            _kill(child, f"it has not ended {_MARGIN_S:g} s after its grace of {self._grace_s:g} s")
        return await attending

    async def _attend(self, child: Process) -> int:
        assert child.stdout is not None
        patience_s = _START_S
        silent_s = 0.0
        while True:
            part_s = patience_s / _PARTS
            try:
                async with asyncio.timeout(part_s):
                    line = await child.stdout.readline()
            except TimeoutError:
                silent_s += part_s
                if silent_s >= patience_s:
                    _kill(child, f"it has been silent for {patience_s:g} s")
                    return await child.wait()
                continue
            if not line:
                return await child.wait()
            patience_s, silent_s = self._silent_s, 0.0
            self._speaking = child  # from now on a signal does not kill it
            if reason := line.decode(errors="replace").strip():
                _kill(child, reason)

    def _change_level(self, number: signal.Signals) -> None:
        """Log more or less, in both processes."""
        levels.step(number)
        if self._speaking and self._speaking.returncode is None:
            self._speaking.send_signal(number)

    async def _bury(self, name: str, code: int) -> None:
        try:
            released = await self._release(name)
        except NotReady as error:
            # Workers that live on find out by themselves, when its last beat has expired.
            _log.error(
                "worker died; its leases are not released", worker=name, ended_by=_words(code), reason=str(error)
            )
        else:
            _log.error("worker died", worker=name, ended_by=_words(code), leases_released=released)


def pause_s(early_deaths: int) -> float:
    """Seconds before a child is started again that was the `early_deaths`-th in a row to die early: none at first."""
    return min(_FIRST_PAUSE_S * 2 ** (early_deaths - 2), _LONGEST_PAUSE_S) if early_deaths > 1 else 0.0


async def _pause(stop: asyncio.Event, for_s: float) -> None:
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping}, timeout=for_s)
    stopping.cancel()


def _kill(child: Process, reason: str) -> None:
    if child.returncode is None:
        _log.error("worker killed", pid=child.pid, reason=reason)
        child.kill()


def _name() -> str:
    """Another one for each child, so that nobody inherits a dead one's leases."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"


def _words(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
