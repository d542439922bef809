"""A server under mixed traffic for a while, and what it holds meanwhile: memory and file descriptors."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil

from service.client import AsyncClient
from tests.serving import Serving, starter
from tests.soak.traffic import Traffic

#: Seconds between two looks at the process; the share of them that counts as warming up; how long files may take to
#: be closed once the callers have left.
LOOK_S, WARMING, SETTLE_S = 1.0, 0.25, 30.0


@dataclass
class Soak:
    """What was seen: `seconds`, `rss` in bytes and `files` have one entry per look; files also before and after."""

    files_before: int = 0
    files_after: int = 0
    seconds: list[float] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)

    def slope(self, values: list[int]) -> float:
        """Least squares of what came after warming up, per hour."""
        start = int(len(values) * WARMING)
        return float(np.polyfit(self.seconds[start:], values[start:], 1)[0] * 3600)


def run(folder: Path, seconds: float) -> Soak:
    """Serve the shipped models from `folder` under mixed traffic for so many seconds."""
    with starter(folder) as start:
        serving = start("digits", "guide", DATA_DIR=str(folder / "data"), JOB_DURABILITY="any")
        return asyncio.run(_soak(serving, seconds))


async def _soak(serving: Serving, seconds: float) -> Soak:
    process, soak = psutil.Process(serving.process.pid), Soak()
    async with AsyncExitStack() as callers:
        await (await _traffic(serving, callers)).once()  # opens what is kept open from then on
    soak.files_before = await _settled(process, 0)
    async with AsyncExitStack() as callers:
        traffic, stop = await _traffic(serving, callers), asyncio.Event()
        running = asyncio.create_task(traffic.run(stop))
        started = time.monotonic()
        while (now := time.monotonic() - started) < seconds:
            soak.seconds.append(now)
            soak.rss.append(process.memory_info().rss)
            soak.files.append(process.num_fds())
            await asyncio.sleep(LOOK_S)
        stop.set()
        await running
    soak.done, soak.unexpected = dict(traffic.done), traffic.unexpected
    soak.files_after = await _settled(process, soak.files_before)
    return soak


async def _traffic(serving: Serving, callers: AsyncExitStack) -> Traffic:
    client = await callers.enter_async_context(AsyncClient(serving.grpc, timeout_s=60))
    channel = await callers.enter_async_context(grpc.aio.insecure_channel(serving.grpc))
    http = await callers.enter_async_context(httpx.AsyncClient(base_url=serving.http, timeout=60))
    return Traffic(client, channel, http)


async def _settled(process: psutil.Process, wanted: int) -> int:
    """The files that are open once there are no more than `wanted`, or have been as many for a few looks."""
    seen = [process.num_fds()]
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until and seen[-1] > wanted and len(set(seen[-6:])) + (len(seen) < 6) > 1:
        await asyncio.sleep(LOOK_S)
        seen.append(process.num_fds())
    return seen[-1]
