"""Looks at the queue in Redis every few seconds, for metrics that no single process could count."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from service.core.errors import NotReady
from service.queues.redis_inspector import RedisInspector
from service.queues.redis_url import Server
from service.queues.survey import LineSurvey

#: Seconds between two surveys: Prometheus asks about as often.
EVERY_S = 5.0

Show = Callable[[Sequence[LineSurvey]], None]


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
