"""Which Redis, and whether its settings would lose work: for every role that has its queue there."""

from __future__ import annotations

import asyncio

import structlog

from service.config import Config
from service.core.errors import InvalidInput, NotReady
from service.queues import redis_checks, redis_url
from service.queues.keys import Keys
from service.queues.redis_url import Server

#: Seconds between two attempts to look at the settings of a Redis that is away.
_AGAIN_S = 2.0

_log = structlog.get_logger("vitrine")


def redis_server(config: Config) -> Server:
    """The server that the configuration names. Raises `InvalidInput`, which never repeats a password."""
    if config.redis is None:
        raise InvalidInput("redis", "must be the URL of the Redis with the queue, redis://HOST:PORT", "none")
    return redis_url.parse(config.redis, Keys().tag, _password(config))


async def vet(server: Server) -> None:
    """Look at the server's settings as soon as it answers, and log what costs speed or memory.

    Raises `Refused` when they would lose work.
    """
    while True:
        try:
            findings = await redis_checks.check(server, jobs=False)
        except NotReady as error:
            _log.warning(f"{error}; waiting for it")
            await asyncio.sleep(_AGAIN_S)
        else:
            break
    for finding in findings:
        _log.warning(str(finding))


def _password(config: Config) -> str | None:
    if config.redis_password is not None:
        return config.redis_password.get_secret_value()
    if config.redis_password_file is None:
        return None
    try:
        return config.redis_password_file.read_text().strip()
    except OSError as error:
        raise InvalidInput(
            "redis_password_file", f"must be readable ({error.strerror})", config.redis_password_file
        ) from None
