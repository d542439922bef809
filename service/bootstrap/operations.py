"""What operators do to the queue from outside: looking, and asking again for what died."""

from __future__ import annotations

import uuid

from service.bootstrap.parts import queue_limits
from service.bootstrap.redis_server import redis_server
from service.config import Config
from service.core.errors import Refused
from service.core.events import Event
from service.core.messages import Answer, Request
from service.queues.redis_inspector import RedisInspector
from service.queues.redis_submissions import RedisSubmissions
from service.queues.survey import DeadLetter


def inspector(config: Config) -> RedisInspector:
    """Looks into the queue that the configuration names. Raises `InvalidInput` when it names none."""
    return RedisInspector(redis_server(config))


async def retry(config: Config, letter: DeadLetter) -> Answer:
    """Ask for the picture of a dead letter once more, as a new request of its own front-end.

    Raises `Refused` when it was too large to be kept whole, and what any request may raise.
    """
    if not letter.whole:
        raise Refused(f"dead letter: only {len(letter.image)} of {letter.size} bytes of its picture were kept")
    async with RedisSubmissions(redis_server(config), queue_limits(config), _unheard) as queue:
        return await queue.submit(Request(uuid.uuid4().hex, letter.model, letter.image))


def _unheard(_: Event) -> None:
    """A command that runs once has no metrics."""
