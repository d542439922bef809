"""Durable jobs where queue and lanes are in one process: they are kept by a private Valkey, or refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NoReturn

from service.catalog import Host
from service.config import Config
from service.core.errors import Refused
from service.core.events import Emit
from service.core.messages import ModelKey
from service.core.ports import Engine, Submissions
from service.core.use_cases import Jobs
from service.queues.private_valkey import why_not


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
        return _refused(why_not() or "none was named: vitrine serve --data-dir FOLDER")
    from service.bootstrap.kept_jobs import kept_jobs  # noqa: PLC0415 - brings redis-py, a tenth of the start-up

    return kept_jobs(config, config.data_dir, resolve, queue, emit)


def _refused(reason: str) -> EmbeddedJobs:
    def refuse() -> NoReturn:
        raise Refused(f"jobs: a folder and a Valkey of its own must keep them; {reason}")

    return EmbeddedJobs(refuse, lambda _key, _engine, lanes: lanes)
