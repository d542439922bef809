"""What the workers behind Redis serve, for a front-end that has no engine of its own."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn, Self

from service.core.errors import InvalidInput, NoSuchModel, NotReady, Refused
from service.core.events import Emit, ModelChanged
from service.core.messages import ModelKey
from service.core.status import ModelStatus
from service.queues import announcement
from service.queues.keys import KEY_TTL_MS, Keys
from service.queues.redis_link import Away, Link
from service.queues.redis_url import Server

#: What workers announce is read again this often; it changes with a new worker version at most.
_REREAD_EVERY = 20


class RedisCatalog:
    """`ModelCatalog` of what workers have announced; an async context manager.

    A version that lost its last worker stays known for a day: asking for it is refused with NO_WORKERS and not with
    NOT_FOUND. Loading and unloading is the workers' own affair.
    """

    def __init__(self, server: Server, emit: Emit, *, keys: Keys | None = None) -> None:
        self._keys = keys or Keys()
        self._link = Link(server)
        self._emit = emit
        self._looks = 0
        self._listed_s: dict[ModelKey, float] = {}  #: when Redis last knew of each version
        self._statuses: dict[ModelKey, ModelStatus] = {}

    async def __aenter__(self) -> Self:
        """Connect; Redis may be away for now."""
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._link.__aexit__()

    async def follow(self) -> None:
        """Learn what workers announce, once. What is known stays known while Redis is away; `ready` tells of it."""
        with contextlib.suppress(Away):
            await self._look()

    def resolve(self, name: str, version: int) -> ModelKey:
        """The version asked for; for 0 the latest one that has workers, or else the latest. Raises `NoSuchModel`."""
        return self.get(name, version).key

    def list(self) -> builtins.list[ModelStatus]:
        """Every version that is or was served, by name and version."""
        return sorted(self._statuses.values(), key=lambda status: (status.key.name, status.key.version))

    def get(self, name: str, version: int) -> ModelStatus:
        """The status of one version, 0 for the latest one that has workers. Raises `NoSuchModel`, `NotReady`."""
        key = self._latest(name) if version == 0 else ModelKey(name, version)
        if key not in self._statuses:
            self._refuse(name, version)
        return self._statuses[key]

    async def load(self, name: str, version: int) -> NoReturn:
        """Raise `Refused`."""
        raise Refused(f"model: {name}:{version or '*'} is loaded by workers, each from its own folder of models")

    async def unload(self, name: str, version: int) -> NoReturn:
        """Raise `Refused`."""
        raise Refused(f"model: {name}:{version or '*'} is unloaded by workers, each for itself")

    def ready(self) -> tuple[bool, str]:
        """Whether anything can be answered, and why not."""
        if self._link.away:
            return False, self._link.away
        if not any(status.state == "ready" for status in self._statuses.values()):
            return False, "no worker serves a model"
        return True, ""

    # Following the workers

    async def _look(self) -> None:
        (seconds, micros), members = await asyncio.gather(
            self._link.send("TIME"), self._link.send("ZRANGE", self._keys.models, 0, -1, "WITHSCORES")
        )
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        scores = zip(members[::2], members[1::2], strict=True)
        alive = self._remembered({_key(member): float(expiry) > now_ms for member, expiry in scores})
        reread = self._looks % _REREAD_EVERY == 0
        self._looks += 1
        known = {} if reread else self._statuses
        found = [known.get(key) or await self._read(key) or self._statuses.get(key) for key in alive]
        statuses = _judged([status for status in found if status is not None], alive)
        self._report(statuses)
        self._statuses = statuses

    def _remembered(self, listed: Mapping[ModelKey, bool]) -> dict[ModelKey, bool]:
        """With what was listed before: a Redis that came back empty has not taken the workers away."""
        now_s = asyncio.get_running_loop().time()
        self._listed_s |= dict.fromkeys(listed, now_s)
        self._listed_s = {key: at_s for key, at_s in self._listed_s.items() if now_s - at_s < KEY_TTL_MS / 1000}
        return dict.fromkeys(self._listed_s, False) | dict(listed)

    def _report(self, statuses: Mapping[ModelKey, ModelStatus]) -> None:
        """State what has changed since the last look."""
        for key in self._statuses.keys() - statuses.keys():
            self._emit(ModelChanged(key, "available", reason="nobody has served it for a day"))
        for key, status in statuses.items():
            before = self._statuses.get(key)
            if before is None or before.state != status.state:
                provider = status.tuning.chosen.label if status.tuning else ""
                self._emit(ModelChanged(key, status.state, reason=status.reason, provider=provider))

    async def _read(self, key: ModelKey) -> ModelStatus | None:
        text = await self._link.send("GET", self._keys.of(key).about)
        if text is None:
            return None  # announced by nobody for a day
        try:
            about = announcement.read(text)
        except InvalidInput as error:
            return ModelStatus(key, "failed", reason=str(error))
        return ModelStatus(key, "ready", digest=about.digest, spec=about.spec, tuning=about.tuning)

    def _latest(self, name: str) -> ModelKey:
        latest = (s.key for s in self._statuses.values() if s.latest and s.key.name == name)
        return next(latest, ModelKey(name, 0))

    def _refuse(self, name: str, version: int) -> NoReturn:
        if not self._statuses and self._link.away:
            raise NotReady(self._link.away)
        there = ", ".join(str(status.key) for status in self.list()) or "none"
        raise NoSuchModel(f"model: no worker has announced {name}:{version or '*'}; there are {there}")


def _judged(statuses: Sequence[ModelStatus], alive: Mapping[ModelKey, bool]) -> dict[ModelKey, ModelStatus]:
    """With state and `latest` by what is alive: the newest version with workers, or else the newest."""
    latest: dict[str, tuple[bool, int]] = {}
    for status in statuses:
        rank = (alive[status.key], status.key.version)
        latest[status.key.name] = max(latest.get(status.key.name, rank), rank)
    return {status.key: _state(status, alive, latest[status.key.name][1]) for status in statuses}


def _state(status: ModelStatus, alive: Mapping[ModelKey, bool], latest: int) -> ModelStatus:
    status = replace(status, latest=status.key.version == latest)
    if status.state == "failed":
        return status
    if alive[status.key]:
        return replace(status, state="ready", reason="")
    return replace(status, state="available", reason="no worker serves it just now")


def _key(member: bytes) -> ModelKey:
    name, _, version = member.decode().rpartition(":")
    return ModelKey(name, int(version))
