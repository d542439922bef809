"""The routings in force: asked at every request, changed by administrators, kept where they survive a restart."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Protocol

from service.core.errors import InvalidInput, NoSuchModel, NotReady, Refused
from service.core.events import Emit, RoutingChanged
from service.core.messages import ModelKey
from service.core.routing import Record, Routing
from service.core.status import ModelStatus


class Keeper(Protocol):
    """Where routings are kept."""

    async def load(self) -> Mapping[str, Record]:
        """The record of every model that ever had a routing. Raises `InvalidInput` for what people wrote wrongly."""

    async def save(self, model: str, before: Record, after: Record) -> None:
        """Replace one record. Raises `Refused` when it is not `before` any more, or cannot be kept."""


class Catalog(Protocol):
    """What is served."""

    def resolve(self, name: str, version: int) -> ModelKey:
        """The ready version asked for, the latest for 0. Raises `ServiceError`."""

    def get(self, name: str, version: int) -> ModelStatus:
        """The status of one version. Raises `NoSuchModel`."""


_NONE = Record()


class RoutingTable:
    """`Routing` of every model. `choose` on the path of each request: a look into a dict where there is no routing."""

    def __init__(self, keeper: Keeper, catalog: Catalog, emit: Emit) -> None:
        self._keeper = keeper
        self._catalog = catalog
        self._emit = emit
        self._records: Mapping[str, Record] = {}
        prefix = uuid.uuid4().hex
        self._keys = (f"{prefix}-{number}" for number in itertools.count())

    # What callers ask

    def choose(self, model: str, version: int, label: str = "", key: str = "") -> int:
        """The version that a request is for: its own, its label's, or that of the split; 0 for the latest.

        Requests with the same `key` get the same one; without a key they are spread. Raises `NoSuchModel` for an
        unknown label, `InvalidInput` for a label beside a version.
        """
        if label:
            return self._labelled(model, version, label)
        record = self._records.get(model)
        if version or record is None:
            return version
        return record.routing.choose(model, key or next(self._keys), partial(self._serves, model))

    def resolve(self, name: str, version: int) -> ModelKey:
        """The ready version asked for; for 0 one of the split, or else the latest. Raises `ServiceError`."""
        return self._catalog.resolve(name, self.choose(name, version))

    def settle(self, name: str, version: int) -> ModelKey:
        """The same for whoever needs one version for all: for 0 the one that most requests get."""
        return self._catalog.resolve(name, version or self.get(name).routing.main)

    def get(self, model: str) -> Record:
        """The routing in force and those before it; an empty one where there is none."""
        return self._records.get(model, _NONE)

    def versions(self, model: str) -> frozenset[int]:
        """The versions that have a label: whoever loads models keeps them loaded."""
        return frozenset(self.get(model).routing.labels.values())

    # What changes it

    async def follow(self) -> None:
        """Learn what was changed elsewhere, once. Raises `InvalidInput` for what cannot be read; then nothing changes.

        What is kept is in force even while its versions are not served: they may still come.
        """
        self._enforce(await self._keeper.load())

    async def set(self, model: str, routing: Routing, revision: int = 0) -> Record:
        """Put a routing in force. `revision` is that of the one to be replaced, 0 for any.

        Raises `NoSuchModel` or `NotReady` for a version that cannot answer, `Refused` when somebody else was faster.
        """
        self._check(model, routing)
        before = await self._current(model, revision)
        return await self._change(model, before, before.then(routing))

    async def roll_back(self, model: str, revision: int = 0) -> Record:
        """Put the routing before in force again, whatever is served just now. Raises `Refused`; see `set`."""
        before = await self._current(model, revision)
        return await self._change(model, before, before.back())

    async def _current(self, model: str, revision: int) -> Record:
        await self.follow()
        current = self.get(model)
        if revision not in {0, current.revision}:
            raise Refused(f"revision: {model!r} is at {current.revision} by now, and not at {revision}")
        return current

    async def _change(self, model: str, before: Record, after: Record) -> Record:
        await self._keeper.save(model, before, after)
        self._enforce({**self._records, model: after})
        return after

    def _enforce(self, records: Mapping[str, Record]) -> None:
        changed = {model: record for model, record in records.items() if record != self.get(model)}
        self._records = records
        for model, record in changed.items():
            self._emit(RoutingChanged(model, record.routing, record.revision))

    def _check(self, model: str, routing: Routing) -> None:
        """Every labelled version must be there, and every one that gets requests must be ready."""
        self._catalog.get(model, 0)
        for label, version in routing.labels.items():
            status = self._catalog.get(model, version)
            if status.state == "failed":
                raise NotReady(f"labels.{label}: {status.key} failed to load: {status.reason}")
            if routing.split.get(label) and status.state != "ready":
                raise NotReady(f"split.{label}: {status.key} is {status.state}; load it first")

    def _labelled(self, model: str, version: int, label: str) -> int:
        if version:
            raise InvalidInput("label", "must not be set beside a version", repr(label))
        if model not in self._records:
            self._catalog.get(model, 0)
        return self.get(model).routing.version(model, label)

    def _serves(self, model: str, version: int) -> bool:
        try:
            return self._catalog.get(model, version).state == "ready"
        except NoSuchModel:
            return False
