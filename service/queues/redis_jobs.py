"""Durable jobs in Redis, as front-ends see them: whatever is said here has happened when it returns."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self

from service.core.errors import InvalidInput, NoSuchJob, Overloaded, Reason, Refused
from service.core.jobs import Item, Job, JobLimits, Order, check_chunk, check_order
from service.core.messages import ModelKey, Priority
from service.queues import envelope, scripts
from service.queues.keys import Keys
from service.queues.redis_durability import DurabilityCheck
from service.queues.redis_job_reader import RedisJobReader
from service.queues.redis_link import Arg, Away, Link, Rejected
from service.queues.redis_mending import mend, model_key
from service.queues.redis_url import Server
from service.queues.scripts import Script

#: When a caller may hand in its chunk again that there was no room for.
_RETRY_S = 0.25
_MEND_S = 30.0


class RedisJobs(RedisJobReader):
    """`Jobs` over Redis. One per process; an async context manager.

    `resolve(name, version)` finds the version that 0 stands for; it raises `NoSuchModel` or `NotReady`.
    """

    def __init__(
        self,
        server: Server,
        resolve: Callable[[str, int], ModelKey],
        limits: JobLimits,
        *,
        keys: Keys | None = None,
        poll_s: float = 0.1,
    ) -> None:
        super().__init__(Link(server), keys or Keys(), poll_s)
        self._resolve = resolve
        self._limits = limits
        self._durability = DurabilityCheck(self._link, limits.least)
        self._mending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect; Redis may be away for now."""
        await self._link.__aenter__()
        self._mending = asyncio.create_task(self._mend_for_ever(), name="jobs")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        assert self._mending is not None
        self._mending.cancel()
        await asyncio.wait([self._mending])
        await self._link.__aexit__()

    # A job's life

    async def open(self, order: Order) -> Job:
        """See `Jobs.open`."""
        check_order(order, self._limits)
        key = self._resolve(order.model, order.version)
        durability = await self._durability.checked()
        name = _new_id()
        keys = [*self._keys.jobs, *self._keys.job(name).all]
        if order.idempotency_key:
            keys.append(self._keys.idempotency(order.idempotency_key))
        fields: dict[str, Arg] = {
            "model": str(key),
            "w": order.priority.weight,
            "prio": int(order.priority),
            "p": envelope.params("", order.options),
            "dur": int(durability),
            "src": json.dumps(order.sources),
        }
        flat = [part for pair in fields.items() for part in pair]
        verdict, value = await self._link.run(
            scripts.JOB_OPEN, keys, name, order.ttl_s * 1000, self._limits.max_jobs, *flat
        )
        if verdict == b"FULL":
            raise Overloaded(Reason.FULL, f"jobs: at most {self._limits.max_jobs} may be kept, got {value}", _RETRY_S)
        job = await self.get(value.decode())
        if verdict == b"OLD":
            _check_same(order, job)
        return job

    async def append(self, id: str, chunk: int, items: Sequence[Item]) -> tuple[int, int]:
        """See `Jobs.append`."""
        check_chunk(items, self._limits)
        await self._durability.checked()
        verdict, *values = await self._run(
            scripts.JOB_APPEND,
            id,
            chunk,
            self._limits.max_bytes,
            self._limits.max_items,
            items[-1].label,
            *map(envelope.write_item, items),
        )
        if verdict != b"OK":
            self._refuse(id, verdict, values, chunk)
        return values[0], values[1]

    async def seal(self, id: str, chunks: int) -> Job:
        """See `Jobs.seal`."""
        await self._durability.checked()
        verdict, *values = await self._run(scripts.JOB_SEAL, id, chunks)
        if verdict != b"OK":
            self._refuse(id, verdict, values, chunks)
        return await self.get(id)

    async def cancel(self, id: str) -> Job:
        """See `Jobs.cancel`."""
        job = await self.get(id)
        stream = self._keys.of(job.model).stream(Priority.BULK)
        await self._link.run(scripts.JOB_CANCEL, [*self._keys.jobs, stream, *self._keys.job(id).all], id)
        return await self.get(id)

    # The rest

    async def _run(self, script: Script, id: str, *args: Arg) -> Any:
        keys = self._of(id)
        model = await self._link.send("HGET", keys.job, "model")
        if model is None:
            raise NoSuchJob(f"job: there is none called {id!r}; jobs are forgotten some time after they have ended")
        line = self._keys.of(model_key(model))
        lined = [*self._keys.jobs, line.line, line.stream(Priority.BULK), *keys.all]
        return await self._link.run(script, lined, id, *args)

    def _refuse(self, id: str, verdict: bytes, values: Sequence[Any], chunk: int) -> NoReturn:
        match verdict:
            case b"GONE":
                raise NoSuchJob(f"job: there is none called {id!r} any more")
            case b"GAP":
                raise InvalidInput("chunk", f"the next of job {id} is {values[0]}", chunk)
            case b"ENDED":
                raise Refused(f"job {id} takes no more chunks: it is {values[0].decode()}")
            case b"ITEMS":
                raise InvalidInput(
                    "items", f"at most {self._limits.max_items} in a job", f"{values[0]} and a chunk more"
                )
        room = f"at most {self._limits.max_bytes} bytes may wait for their results"
        message = f"jobs: {room}, got {values[0]} and a chunk more"
        raise Overloaded(Reason.BYTES, message, _RETRY_S)

    async def _mend_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_MEND_S)
            try:
                await mend(self._link, self._keys)
            except (Away, Rejected):
                await self._link.up()


def _new_id() -> str:
    """Sorts by the time at which it was made, roughly: clocks of front-ends differ."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(8).hex()}"


def _check_same(order: Order, job: Job) -> None:
    if (order.model, order.options) != (job.model.name, job.options) or order.version not in {0, job.model.version}:
        raise InvalidInput("idempotency_key", f"one that was not used for job {job.id}", order.idempotency_key)
