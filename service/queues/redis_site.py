"""What every part of a worker's side needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.core.events import Emit
from service.core.messages import ModelKey
from service.core.ports import Engine
from service.core.turns import Courtesy
from service.queues.keys import Keys, LineKeys
from service.queues.leases import Gate, Shelf, WorkerTimes
from service.queues.redis_link import Link
from service.queues.redis_url import Server
from service.queues.server_clock import ServerClock


@dataclass(frozen=True, slots=True)
class Site:
    """One worker process."""

    worker: str
    server: Server
    commands: Link
    keys: Keys
    times: WorkerTimes
    clock: ServerClock
    gate: Gate
    courtesy: Courtesy
    emit: Emit
    now: Callable[[], float]
    ahead: int  #: batches of each lane that are read at once
    fetch: Callable[[str], Awaitable[bytes]]  #: the picture at a URI; raises `ServiceError`


@dataclass(frozen=True, slots=True)
class Post:
    """One model version that the worker serves."""

    site: Site
    consumer: str  #: its name in Redis; another one when the model version is unloaded and loaded again
    model: ModelKey
    engine: Engine
    keys: LineKeys
    shelf: Shelf

    @property
    def lanes(self) -> int:
        """How many batches it computes at once."""
        return self.engine.tuning.chosen.lanes

    def lane_s(self, took_s: float) -> float:
        """For how long a batch that took a hand so many seconds kept a lane: a hand may have to wait for one."""
        return took_s * self.lanes / self.engine.tuning.chosen.hands

    @property
    def batch(self) -> int:
        """The most that one lane takes at once."""
        return self.engine.tuning.chosen.batch * self.site.ahead
