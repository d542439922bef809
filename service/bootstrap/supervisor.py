"""A worker's supervisor: no engine, no models, nothing that a bad model or picture could take down."""

from __future__ import annotations

from functools import partial

from service.bootstrap.redis_server import redis_server
from service.config import WorkerConfig
from service.queues.redis_release import release
from service.supervision.supervisor import Spawn, Supervisor

#: A child that says nothing for so many times the least age of a stuck batch has lost its event loop.
_SILENCE = 3


def build_supervisor(config: WorkerConfig, spawn: Spawn) -> Supervisor:
    """Put it together; `spawn` starts a child. Raises `InvalidInput` when the configuration rules it out."""
    silent_s = _SILENCE * config.stuck_s
    return Supervisor(spawn, partial(release, redis_server(config)), silent_s=silent_s, grace_s=config.grace_s)
