"""Durable jobs where queue and lanes are in one process: they are kept by a private Valkey."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NoReturn

from service.bootstrap.parts import job_limits, log, uri_fetcher
from service.catalog import Host
from service.config import Config
from service.core.errors import Refused
from service.core.events import Emit
from service.core.messages import ModelKey
from service.core.ports import Engine, Submissions
from service.core.use_cases import Jobs
from service.feeder import Fed, Feeder
from service.queues import redis_url
from service.queues.keys import Keys
from service.queues.private_valkey import PrivateValkey, why_not
from service.queues.redis_jobs import RedisJobs
from service.queues.redis_work import RedisWork

#: Each read is a write that must reach the disk, so that more is read at once than one lane can take.
_AHEAD = 2


@dataclass(frozen=True, slots=True)
class EmbeddedJobs:
    """`inside()` keeps jobs, or raises `Refused`; `feed(key, engine, lanes)` lets lanes work on them, too."""

    inside: Callable[[], Jobs]
    feed: Callable[[ModelKey, Engine, Host], Host]
    behind: Sequence[AbstractAsyncContextManager[object]] = ()


def embedded_jobs(
    config: Config, resolve: Callable[[str, int], ModelKey], queue: Submissions, emit: Emit
) -> EmbeddedJobs:
    """Jobs in `data_dir`; without it, or without the extra `embedded`, they are refused with how to get them."""
    if config.data_dir is None or why_not():
        reason = why_not() or "none was named: vitrine serve --data-dir FOLDER"

        def refuse() -> NoReturn:
            raise Refused(f"jobs: a folder and a Valkey of its own must keep them; {reason}")

        return EmbeddedJobs(refuse, lambda _key, _engine, lanes: lanes)
    valkey = PrivateValkey(config.data_dir, log.warning)
    server = redis_url.parse(valkey.url, Keys().tag)
    fetcher = uri_fetcher(config)
    work = RedisWork(server, emit, ahead=_AHEAD, fetch=fetcher)
    jobs = RedisJobs(server, resolve, job_limits(config))

    def feed(key: ModelKey, engine: Engine, lanes: Host) -> Host:
        return Fed(lanes, Feeder(key, engine, work, queue))

    return EmbeddedJobs(lambda: jobs, feed, [valkey, fetcher, work, jobs])
