"""Which versions are served here: follows the store, loads what is new, retires what is old, keeps what works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

from service.core.errors import NoSuchModel, ServiceError
from service.core.events import Emit, ModelChanged, ProviderFellBack
from service.core.inventory import Inventory
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
    """What runs one version that is loaded."""

    engine: Engine
    host: Host


class Catalog:
    """The versions served by this process.

    What is to be served, `core.inventory` decides: of every model the newest `keep` versions that work. A new one takes
    over once it is warm, and a broken one leaves the others in place, and is tried again when its files change. `load`
    and `unload` override that until the process ends. Leaving it as an async context manager closes it.

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
        self._let_go = let_go
        self._inventory = Inventory(keep, routed)
        self._residents: dict[ModelKey, _Resident] = {}
        self._broken: dict[ModelKey, object] = {}  #: fingerprints of what could not be loaded
        self._changing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Nothing is loaded before `follow`."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    # What callers ask

    def resolve(self, name: str, version: int) -> ModelKey:
        """The ready version asked for, the latest for 0. Raises `NoSuchModel`, `NotReady` or `Refused`."""
        return self._inventory.resolve(name, version)

    def engine(self, key: ModelKey) -> Engine:
        """What runs a version that `resolve` has named."""
        return self._residents[key].engine

    def list(self) -> Sequence[ModelStatus]:
        """Every version that is stored or served, by name and version."""
        return self._inventory.list()

    def get(self, name: str, version: int) -> ModelStatus:
        """The status of one version; 0 is the latest ready one, or else the newest stored. Raises `NoSuchModel`."""
        return self._inventory.get(name, version)

    def ready(self) -> tuple[bool, str]:
        """Whether anything can be answered, and why not."""
        return self._inventory.ready()

    # What changes it

    async def follow(self) -> None:
        """Bring what is served in line with what is stored, once. Raises `ServiceError` when it cannot be read."""
        async with self._changing:
            await self._scan()
            for name in self._inventory.models():
                while missing := self._inventory.missing(name):
                    await self._bring(missing)
                for key in self._inventory.surplus(name):
                    await self._retire(key)
            self._inventory.complete = True

    async def load(self, name: str, version: int) -> ModelStatus:
        """Load a stored version (0: the newest), and wait until it is ready or has failed. Raises `NoSuchModel`."""
        async with self._changing:
            await self._scan()
            key = self._inventory.newest(name) if version == 0 else self.get(name, version).key
            self._inventory.pin(key)
            if key not in self._residents:
                await self._bring(key)
            return self.get(*key)

    async def unload(self, name: str, version: int) -> None:
        """Answer what is in flight, then unload (0: every version of the model). Raises `NoSuchModel`."""
        async with self._changing:
            keys = self._inventory.loaded(name, version)
            if not keys:
                raise NoSuchModel(f"model: {name}:{version or '*'} is not loaded")
            for key in keys:
                self._inventory.drop(key)
                await self._retire(key)

    async def close(self) -> None:
        """Answer what is in flight and unload everything."""
        async with self._changing:
            for key in tuple(self._residents):
                await self._retire(key)

    async def _scan(self) -> None:
        self._inventory.restock(await asyncio.to_thread(self._store.versions))
        self._broken = {key: self._broken[key] for key in self._inventory.failed()}
        for key in self._broken:
            if await asyncio.to_thread(self._store.fingerprint, key) != self._broken[key]:
                self._inventory.set(ModelStatus(key, "available"))

    async def _bring(self, key: ModelKey) -> None:
        started = time.monotonic()
        self._tell(ModelStatus(key, "loading"))
        self._broken[key] = None
        try:
            self._broken[key] = await asyncio.to_thread(self._store.fingerprint, key)
            engine = await asyncio.to_thread(self._open_engine, key)
        except ServiceError as error:
            self._tell(ModelStatus(key, "failed", reason=str(error), load_s=time.monotonic() - started))
            return
        del self._broken[key]
        host = self._host(key, engine)
        host.start()
        self._residents[key] = _Resident(engine, host)
        if engine.tuning.fallback:
            self._emit(ProviderFellBack(key, "auto", engine.tuning.chosen.provider, engine.tuning.fallback))
        self._tell(
            ModelStatus(
                key=key,
                state="ready",
                reason=engine.tuning.fallback,
                digest=engine.digest,
                spec=engine.spec,
                tuning=engine.tuning,
                load_s=time.monotonic() - started,
            )
        )

    async def _retire(self, key: ModelKey) -> None:
        resident = self._residents[key]
        self._tell(replace(self.get(*key), state="unloading", latest=False))
        await resident.host.drain()
        await asyncio.to_thread(resident.engine.close)
        self._let_go(resident.engine)
        del self._residents[key]
        self._tell(ModelStatus(key, "available"))

    def _tell(self, status: ModelStatus) -> None:
        self._inventory.set(status)
        provider = status.tuning.chosen.label if status.tuning else ""
        self._emit(ModelChanged(status.key, status.state, status.load_s, status.reason, provider))
