"""A prediction log in Redis, for all front-ends: a stream of records, and each one by its id for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from service.core.errors import NoSuchPrediction
from service.core.events import Emit, PredictionLogged
from service.core.messages import Payload
from service.core.records import PredictionRecord, from_json, to_json
from service.queues.keys import Keys
from service.queues.redis_link import Link
from service.queues.redis_url import Server
from service.queues.scripts import KEEP_PREDICTION

#: Records on the way to Redis; more are dropped, since a log must not hold up what it tells of.
MAX_WAITING = 256


class RedisPredictions:
    """`PredictionLog` in Redis; an async context manager.

    Records and inputs are kept for `ttl_s` seconds, of at most `max_bytes` together: the oldest leave.
    """

    def __init__(self, server: Server, max_bytes: int, ttl_s: float, emit: Emit, keys: Keys | None = None) -> None:
        self._keys = (keys or Keys()).predictions
        self._link = Link(server)
        self._max_bytes = max_bytes
        self._ttl_ms = max(1, int(ttl_s * 1000))
        self._emit = emit
        self._waiting = 0

    async def __aenter__(self) -> Self:
        """Connect; Redis may be away for now."""
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._link.__aexit__()

    def write(self, record: PredictionRecord, image: Payload) -> None:
        """Keep a record soon; see `PredictionLog.write`."""
        if self._waiting >= MAX_WAITING:
            self._emit(PredictionLogged(record.model.name, "dropped"))
            return
        kept = bytes(image) if record.kept else b""
        self._waiting += 1
        reply = self._link.run(
            KEEP_PREDICTION, self._keys, record.id, to_json(record), kept, self._ttl_ms, self._max_bytes
        )
        reply.add_done_callback(self._heard(record.model.name))

    async def find(self, id: str) -> tuple[PredictionRecord, bytes]:
        """The newest record under an id, and its input. Raises `NoSuchPrediction`, `NotReady` while Redis is away."""
        line, image = await self._link.send("HMGET", self._keys[1], f"r:{id}", f"i:{id}")
        if line is None:
            raise NoSuchPrediction(f"id: no prediction {id!r} is kept; it was not sampled, or its time is over")
        return from_json(line), image or b""

    def _heard(self, model: str) -> Callable[..., None]:
        def heard(reply: object) -> None:
            self._waiting -= 1
            failed = reply.cancelled() or reply.exception()  # type: ignore[attr-defined]  # it is a future
            self._emit(PredictionLogged(model, "failed" if failed else "written"))

        return heard
