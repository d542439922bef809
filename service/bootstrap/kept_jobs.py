"""Durable jobs that a private Valkey keeps: what they need of Redis is imported by whoever has named a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from service.bootstrap.embedded_jobs import EmbeddedJobs
from service.bootstrap.parts import job_limits, log, uri_fetcher
from service.catalog import Host
from service.config import Config
from service.core.events import Emit
from service.core.messages import ModelKey
from service.core.ports import Engine, Submissions
from service.feeder import Fed, Feeder
from service.queues import redis_url
from service.queues.keys import Keys
from service.queues.private_valkey import PrivateValkey
from service.queues.redis_jobs import RedisJobs
from service.queues.redis_work import RedisWork

#: Each read is a write that must reach the disk, so that more is read at once than one lane can take.
_AHEAD = 2


def kept_jobs(
    config: Config, folder: Path, resolve: Callable[[str, int], ModelKey], queue: Submissions, emit: Emit
) -> EmbeddedJobs:
    """Jobs in `folder`, fed to the lanes that work on `queue`."""
    valkey = PrivateValkey(folder, log.warning)
    server = redis_url.parse(valkey.url, Keys().tag)
    fetcher = uri_fetcher(config)
    work = RedisWork(server, emit, ahead=_AHEAD, fetch=fetcher)
    jobs = RedisJobs(server, resolve, job_limits(config))

    def feed(key: ModelKey, engine: Engine, lanes: Host) -> Host:
        return Fed(lanes, Feeder(key, engine, work, queue))

    return EmbeddedJobs(lambda: jobs, feed, [valkey, fetcher, work, jobs])
