"""How jobs in Redis stand, and what became of their items."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence

from service.core.errors import InvalidInput, NoSuchJob
from service.core.jobs import Durability, ItemResult, Job, JobPriority, JobState
from service.queues import envelope
from service.queues.keys import JobKeys, Keys
from service.queues.redis_link import Link
from service.queues.redis_mending import model_key

_PAGE = 256
_START = "0-0"


class RedisJobReader:
    """The part of `Jobs` that changes nothing. `poll_s` is how often a watched job is looked at."""

    def __init__(self, link: Link, keys: Keys, poll_s: float) -> None:
        self._link = link
        self._keys = keys
        self._poll_s = poll_s

    async def get(self, id: str) -> Job:
        """See `Jobs.get`."""
        fields = await self._link.send("HGETALL", self._of(id).job)
        if not fields:
            raise NoSuchJob(f"job: there is none called {id!r}; jobs are forgotten some time after they have ended")
        return _read(id, dict(zip(fields[::2], fields[1::2], strict=True)))

    async def list(self, count: int, before: str = "") -> Sequence[Job]:
        """See `Jobs.list`."""
        known = await self._link.send("ZRANGE", self._keys.jobs[0], 0, -1)
        names = sorted((name.decode() for name in known), reverse=True)
        wanted = [name for name in names if not before or name < before][:count]
        found = await asyncio.gather(*(self.get(name) for name in wanted), return_exceptions=True)
        for error in found:
            if isinstance(error, BaseException) and not isinstance(error, NoSuchJob):
                raise error
        return [job for job in found if isinstance(job, Job)]

    async def results(self, id: str, cursor: str = "") -> AsyncIterator[ItemResult]:
        """See `Jobs.results`."""
        await self.get(id)
        cursor = _check(cursor)
        while page := await self._page(id, cursor):
            for entry in page:
                if entry is not None:
                    yield entry
                    cursor = entry.cursor
            if len(page) < _PAGE:
                return

    async def watch(
        self, id: str, cursor: str = "", *, results: bool = True
    ) -> AsyncIterator[tuple[Job, Sequence[ItemResult]]]:
        """See `Jobs.watch`."""
        cursor, told = _check(cursor), None
        while True:
            # The job first: one that has ended by then has all its results in the pages that follow.
            job = await self.get(id)
            page = await self._page(id, cursor) if results else ()
            new = [entry for entry in page if entry is not None]
            last = job.state.ended and len(page) < _PAGE
            if new or last or job != told:
                yield job, new
            if last:
                return
            told = job
            cursor = new[-1].cursor if new else cursor
            if len(page) < _PAGE:
                await asyncio.sleep(self._poll_s)

    async def _page(self, id: str, cursor: str) -> Sequence[ItemResult | None]:
        """The next results; None for the entry that marks their end."""
        key = self._keys.job(id).results
        entries = await self._link.send("XRANGE", key, f"({cursor}", "+", "COUNT", _PAGE)
        return [_result(entry, dict(zip(fields[::2], fields[1::2], strict=True))) for entry, fields in entries]

    def _of(self, id: str) -> JobKeys:
        if not (id.isascii() and id.isalnum()):
            raise NoSuchJob(f"job: there is none called {id!r}")
        return self._keys.job(id)


def _check(cursor: str) -> str:
    first, dash, second = (cursor or _START).partition("-")
    if not (first.isdecimal() and dash and second.isdecimal()):
        raise InvalidInput("cursor", "that of an event or a result", cursor)
    return cursor or _START


def _read(id: str, fields: Mapping[bytes, bytes]) -> Job:
    return Job(
        id=id,
        model=model_key(fields[b"model"]),
        options=envelope.read_options(fields[b"p"]),
        priority=JobPriority(int(fields[b"prio"])),
        state=JobState(fields[b"st"].decode()),
        durability=Durability(int(fields[b"dur"])),
        items=int(fields[b"total"]),
        next_chunk=int(fields[b"next"]),
        succeeded=int(fields[b"ok"]),
        failed=int(fields[b"err"]),
        in_flight=int(fields[b"infl"]),
        created_ms=int(fields[b"created"]),
        ended_ms=int(fields.get(b"ended", 0)),
        ttl_s=int(fields[b"ttl"]) // 1000,
        last_item=fields.get(b"last", b"").decode(),
        sources=tuple(json.loads(fields[b"src"])),
    )


def _result(entry: bytes, fields: Mapping[bytes, bytes]) -> ItemResult | None:
    if b"end" in fields:
        return None
    outcome = envelope.read_reply(fields[b"b"])
    return ItemResult(entry.decode(), int(fields[b"n"]), fields[b"k"].decode(), outcome)
