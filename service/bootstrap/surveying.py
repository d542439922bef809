"""Looks at the queue in Redis: every few seconds, for metrics that no single process could count, and when asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict

from service.bootstrap.status import Workers
from service.core.errors import NotReady
from service.queues.redis_inspector import RedisInspector
from service.queues.redis_url import Server
from service.queues.survey import LineSurvey

#: Seconds between two surveys: Prometheus asks about as often.
EVERY_S = 5.0

Show = Callable[[Sequence[LineSurvey]], None]


def surveyed(server: Server) -> Workers:
    """Looks at the workers of every model version in Redis; where that is away, says why."""

    async def workers() -> object:
        try:
            async with RedisInspector(server) as inspector:
                lines = await inspector.survey()
        except NotReady as error:
            return {"unknown": str(error)}
        return {str(line.model): [asdict(post) for post in line.workers] for line in lines}

    return workers


@contextlib.asynccontextmanager
async def surveying(server: Server, show: Show, every_s: float = EVERY_S) -> AsyncIterator[None]:
    """While the block runs, `show` is told what was seen; nothing while Redis is away, since old numbers would lie."""
    task = asyncio.create_task(_survey(server, show, every_s))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _survey(server: Server, show: Show, every_s: float) -> None:
    while True:
        try:
            async with RedisInspector(server) as inspector:
                while True:
                    show(await inspector.survey())
                    await asyncio.sleep(every_s)
        except NotReady:  # catalog and queue say so already, with the reason
            show(())
        await asyncio.sleep(every_s)
