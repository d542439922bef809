"""Looking at the queue from outside, for operators: it takes part in nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from service.core.errors import NotReady, Refused
from service.core.messages import ModelKey, Priority
from service.queues import scripts
from service.queues.keys import GROUP, Keys
from service.queues.redis_link import Link
from service.queues.redis_url import Server
from service.queues.survey import DeadLetter, LineSurvey, Post


class RedisInspector:
    """Surveys lines and dead letters; an async context manager. Everything raises `NotReady` while Redis is away."""

    def __init__(self, server: Server, *, keys: Keys | None = None) -> None:
        self._keys = keys or Keys()
        self._link = Link(server)

    async def __aenter__(self) -> Self:
        """Connect; raises `NotReady` when Redis is away."""
        await self._link.__aenter__()
        if away := self._link.away:
            await self._link.__aexit__()
            raise NotReady(away)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._link.__aexit__()

    async def survey(self) -> list[LineSurvey]:
        """Every model version that was served within a day, by name and version."""
        return [await self._line(model) for model in await self._models()]

    async def letters(self) -> list[DeadLetter]:
        """All dead letters, the oldest of each model version first; also those of versions that nobody serves."""
        found = []
        for model in await self._buried():
            entries = await self._link.send("XRANGE", self._keys.dead_letters(model), "-", "+")
            found += [_letter(model, entry, _pairs(fields)) for entry, fields in entries]
        return found

    async def letter(self, entry: str) -> DeadLetter:
        """One of them. Raises `Refused` when there is none of that name."""
        for letter in await self.letters():
            if letter.entry == entry:
                return letter
        raise Refused(f"dead letter: there is none called {entry!r}; `vitrine queue dead list` shows them")

    async def drop(self, letter: DeadLetter) -> None:
        """Forget it."""
        await self._link.send("XDEL", self._keys.dead_letters(letter.model), letter.entry)

    async def _models(self) -> list[ModelKey]:
        return _sorted(await self._link.send("ZRANGE", self._keys.models, 0, -1))

    async def _buried(self) -> list[ModelKey]:
        """Whose letters are kept: they outlive what is known about their model version."""
        prefix, cursor, found = self._keys.dead_prefix, b"0", set[bytes]()
        while True:
            cursor, keys = await self._link.send("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", 1000)
            found.update(key.removeprefix(prefix.encode()) for key in keys)
            if cursor == b"0":
                return _sorted(found)

    async def _line(self, model: ModelKey) -> LineSurvey:
        keys = self._keys.of(model)
        size, ms, dead, workers, streams = await self._link.run(
            scripts.SURVEY, [keys.line, keys.workers, keys.lanes, self._keys.dead_letters(model), *keys.streams], GROUP
        )
        leases: dict[str, int] = {}
        for _, _, held in streams:
            for worker, count in _pairs(held).items():
                leases[worker.decode()] = leases.get(worker.decode(), 0) + count
        lanes = {worker.decode(): count for worker, count in _pairs(workers).items()}
        return LineSurvey(
            model=model,
            entries={priority: streams[priority][0] for priority in Priority},
            oldest_s=max(oldest_ms for _, oldest_ms, _ in streams) / 1000,
            bytes=int(size),
            ms_per_item=float(ms),
            workers=tuple(
                Post(name, lanes.get(name, 0), leases.get(name, 0)) for name in sorted(lanes.keys() | leases.keys())
            ),
            dead_letters=dead,
        )


def _sorted(members: Iterable[bytes]) -> list[ModelKey]:
    split = (member.decode().rpartition(":") for member in members)
    keys = (ModelKey(name, int(version)) for name, _, version in split)
    return sorted(keys, key=lambda key: (key.name, key.version))


def _pairs(flat: Sequence[Any]) -> Mapping[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _letter(model: ModelKey, entry: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    return DeadLetter(
        entry=entry.decode(),
        model=model,
        id=fields[b"id"].decode(),
        reason=fields[b"reason"].decode(),
        deaths=int(fields[b"deaths"]),
        size=int(fields[b"size"]),
        sha256=fields[b"sha256"].decode(),
        image=fields[b"image"],
    )
