"""Which versions are served here: follows the store, loads what is new, retires what is old, keeps what works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, Protocol, Self

from service.core.errors import NoSuchModel, NotReady, Refused, ServiceError
from service.core.events import Emit, ModelChanged, ProviderFellBack
from service.core.messages import ModelKey
from service.core.ports import Engine
from service.core.status import ModelStatus


class Store(Protocol):
    """Versions on disk. All calls may block."""

    def versions(self) -> Mapping[str, tuple[int, ...]]:
        """Version numbers by model name, ascending; raises `ServiceError` when the store cannot be read."""

    def fingerprint(self, key: ModelKey) -> object:
        """Something that changes when the version's files do; raises `NoSuchModel`."""


class Host(Protocol):
    """What serves one loaded version."""

    def start(self) -> None:
        """Begin."""

    async def drain(self) -> None:
        """Finish what is in it, and end."""


@dataclass(frozen=True, slots=True)
class _Resident:
    """One version that is served."""

    status: ModelStatus
    engine: Engine
    host: Host


@dataclass(frozen=True, slots=True)
class _Failure:
    """One version that could not be loaded; it is tried again when its files change."""

    status: ModelStatus
    fingerprint: object


class Catalog:
    """The versions served by this process.

    Of every model the newest `keep` versions that work are loaded; a new one takes over once it is warm, and a broken
    one leaves the others in place. `load` and `unload` override that until the process ends. Leaving it as an async
    context manager closes it.

    `open_engine` verifies, reads and warms one version; it blocks, and raises `ServiceError` saying what is wrong.
    `host` builds what serves it, and `let_go` is told of each engine that was closed. `routed` tells the versions of a
    model that callers are routed to: they are kept however old they are.
    """

    def __init__(
        self,
        store: Store,
        open_engine: Callable[[ModelKey], Engine],
        host: Callable[[ModelKey, Engine], Host],
        emit: Emit,
        *,
        keep: int = 2,
        let_go: Callable[[Engine], None] = lambda _: None,
        routed: Callable[[str], Collection[int]] = lambda _: (),
    ) -> None:
        self._store = store
        self._open_engine = open_engine
        self._host = host
        self._emit = emit
        self._keep = keep
        self._let_go = let_go
        self._routed = routed
        self._stored: Mapping[str, tuple[int, ...]] = {}
        self._residents: dict[ModelKey, _Resident] = {}
        self._failures: dict[ModelKey, _Failure] = {}
        self._busy: dict[ModelKey, ModelStatus] = {}
        self._pinned: set[ModelKey] = set()
        self._unwanted: set[ModelKey] = set()
        self._changing = asyncio.Lock()
        self._followed = False

    async def __aenter__(self) -> Self:
        """Nothing is loaded before `follow`."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    # What callers ask

    def resolve(self, name: str, version: int) -> ModelKey:
        """The ready version asked for, the latest for 0. Raises `NoSuchModel`, `NotReady` or `Refused`."""
        key = self._latest(name) if version == 0 else ModelKey(name, version)
        if not self._answers(key):
            self._refuse(key)
        return key

    def engine(self, key: ModelKey) -> Engine:
        """What runs a version that `resolve` has named."""
        return self._residents[key].engine

    def list(self) -> Sequence[ModelStatus]:
        """Every version that is stored or served, by name and version."""
        stored = {ModelKey(name, version) for name, versions in self._stored.items() for version in versions}
        keys = stored | self._residents.keys() | self._failures.keys() | self._busy.keys()
        return [self._status(key) for key in sorted(keys, key=lambda key: (key.name, key.version))]

    def get(self, name: str, version: int) -> ModelStatus:
        """The status of one version; 0 is the latest ready one, or else the newest stored. Raises `NoSuchModel`."""
        if version == 0:
            return self._status(self._latest(name))
        key = ModelKey(name, version)
        if version not in self._stored.get(name, ()) and key not in self._residents:
            raise NoSuchModel(f"model: {name!r} has no version {version}; there are {_listed(self._stored.get(name))}")
        return self._status(key)

    def ready(self) -> tuple[bool, str]:
        """Whether anything can be answered, and why not."""
        if not self._followed:
            return False, "models are being loaded"
        if not self._residents:
            reasons = "; ".join(f"{key}: {failure.status.reason}" for key, failure in self._failures.items())
            return False, f"no model is served: {reasons or 'the store is empty'}"
        return True, ""

    # What changes it

    async def follow(self) -> None:
        """Bring what is served in line with what is stored, once. Raises `ServiceError` when it cannot be read."""
        async with self._changing:
            await self._scan()
            for name, versions in self._stored.items():
                while missing := self._missing(name, versions):
                    await self._bring(missing)
                for key in self._surplus(name, versions):
                    await self._retire(key)
            for key in [key for key in self._residents if key.name not in self._stored]:
                await self._retire(key)
            self._followed = True

    async def load(self, name: str, version: int) -> ModelStatus:
        """Load a stored version (0: the newest), and wait until it is ready or has failed. Raises `NoSuchModel`."""
        async with self._changing:
            await self._scan()
            key = self._newest(name) if version == 0 else self.get(name, version).key
            self._unwanted.discard(key)
            self._pinned.add(key)
            if key not in self._residents:
                await self._bring(key)
            return self._status(key)

    async def unload(self, name: str, version: int) -> None:
        """Answer what is in flight, then unload (0: every version of the model). Raises `NoSuchModel`."""
        async with self._changing:
            keys = [key for key in self._residents if key.name == name and version in (0, key.version)]
            if not keys:
                raise NoSuchModel(f"model: {name}:{version or '*'} is not loaded")
            for key in keys:
                self._pinned.discard(key)
                self._unwanted.add(key)
                await self._retire(key)

    async def close(self) -> None:
        """Answer what is in flight and unload everything."""
        async with self._changing:
            for key in tuple(self._residents):
                await self._retire(key)

    async def _scan(self) -> None:
        self._stored = await asyncio.to_thread(self._store.versions)
        for key, failure in tuple(self._failures.items()):
            gone = key.version not in self._stored.get(key.name, ())
            if gone or await asyncio.to_thread(self._store.fingerprint, key) != failure.fingerprint:
                del self._failures[key]

    async def _bring(self, key: ModelKey) -> None:
        started = time.monotonic()
        self._failures.pop(key, None)
        self._enter(ModelStatus(key, "loading"))
        fingerprint: object = None
        try:
            fingerprint = await asyncio.to_thread(self._store.fingerprint, key)
            engine = await asyncio.to_thread(self._open_engine, key)
        except ServiceError as error:
            failed = ModelStatus(key, "failed", reason=str(error), load_s=time.monotonic() - started)
            self._failures[key] = _Failure(failed, fingerprint)
            self._leave(failed)
            return
        host = self._host(key, engine)
        host.start()
        ready = ModelStatus(
            key=key,
            state="ready",
            reason=engine.tuning.fallback,
            digest=engine.digest,
            spec=engine.spec,
            tuning=engine.tuning,
            load_s=time.monotonic() - started,
        )
        self._residents[key] = _Resident(ready, engine, host)
        if engine.tuning.fallback:
            self._emit(ProviderFellBack(key, "auto", engine.tuning.chosen.provider, engine.tuning.fallback))
        self._leave(ready)

    async def _retire(self, key: ModelKey) -> None:
        resident = self._residents[key]
        self._enter(replace(resident.status, state="unloading"))
        await resident.host.drain()
        await asyncio.to_thread(resident.engine.close)
        self._let_go(resident.engine)
        del self._residents[key]
        self._leave(ModelStatus(key, "available"))

    def _enter(self, status: ModelStatus) -> None:
        self._busy[status.key] = status
        self._announce(status)

    def _leave(self, status: ModelStatus) -> None:
        del self._busy[status.key]
        self._announce(status)

    def _announce(self, status: ModelStatus) -> None:
        provider = status.tuning.chosen.label if status.tuning else ""
        self._emit(ModelChanged(status.key, status.state, status.load_s, status.reason, provider))

    # What ought to be served

    def _wanted(self, name: str, versions: Iterable[int]) -> Sequence[ModelKey]:
        """Newest first: the newest `keep` that work and were not unloaded, and those loaded on request or routed to."""
        keys = [ModelKey(name, version) for version in sorted(versions, reverse=True)]
        works = [key for key in keys if key not in self._failures and key not in self._unwanted]
        routed = self._routed(name)
        kept = (key for key in works[self._keep :] if key in self._pinned or key.version in routed)
        return [*works[: self._keep], *kept]

    def _missing(self, name: str, versions: Iterable[int]) -> ModelKey | None:
        return next((key for key in self._wanted(name, versions) if key not in self._residents), None)

    def _surplus(self, name: str, versions: Iterable[int]) -> Sequence[ModelKey]:
        wanted = self._wanted(name, versions)
        return [key for key in self._residents if key.name == name and key not in wanted]

    # What to say

    def _status(self, key: ModelKey) -> ModelStatus:
        if key in self._busy:
            return self._busy[key]
        if key in self._failures:
            return self._failures[key].status
        if key not in self._residents:
            return ModelStatus(key, "available")
        return replace(self._residents[key].status, latest=key == self._latest(key.name))

    def _answers(self, key: ModelKey) -> bool:
        return key in self._residents and key not in self._busy

    def _latest(self, name: str) -> ModelKey:
        """What version 0 stands for: the newest version that answers, or else the newest stored."""
        ready = [key.version for key in self._residents if key.name == name and self._answers(key)]
        return ModelKey(name, max(ready)) if ready else self._newest(name)

    def _newest(self, name: str) -> ModelKey:
        versions = self._stored.get(name)
        if not self._followed and not versions:
            raise NotReady("models are being loaded")
        if not versions:
            raise NoSuchModel(f"model: no model is called {name!r}; there are {_listed(self._stored)}")
        return ModelKey(name, max(versions))

    def _refuse(self, key: ModelKey) -> NoReturn:
        status = self.get(key.name, key.version)
        if status.state == "available":
            raise Refused(f"model: {key} is stored but not loaded; Models.Load loads it")
        raise NotReady(f"model: {key} is {status.state}" + (f": {status.reason}" if status.reason else ""))


def _listed(names: Iterable[object] | None) -> str:
    return ", ".join(str(name) for name in names or ()) or "none"
