"""Which versions ought to be served, and what is to be said of each: the policy of the catalog, without the loading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from service.core.errors import NoSuchModel, NotReady, Refused
from service.core.messages import ModelKey
from service.core.status import ModelStatus

#: States of versions that are loaded.
_LOADED = ("ready", "unloading")


class Inventory:
    """What is stored, the state of each version, and what follows from both.

    Of every model the newest `keep` versions that work are wanted, and whichever `routed` names or were pinned, but
    none that were dropped. Whoever loads and unloads sets their statuses; a version without one is available.
    """

    def __init__(self, keep: int = 2, routed: Callable[[str], Collection[int]] = lambda _: ()) -> None:
        self.complete = False  #: whether what was stored at first has been tried
        self._keep = keep
        self._routed = routed
        self._stored: Mapping[str, tuple[int, ...]] = {}
        self._statuses: dict[ModelKey, ModelStatus] = {}
        self._latest: dict[str, int] = {}  #: the newest version of each model that answers
        self._pinned: set[ModelKey] = set()
        self._dropped: set[ModelKey] = set()

    # What is so

    def restock(self, stored: Mapping[str, tuple[int, ...]]) -> None:
        """Take these version numbers, ascending by model, for what is stored; failures of others are forgotten."""
        self._stored = stored
        for key in [key for key in self.failed() if key.version not in stored.get(key.name, ())]:
            del self._statuses[key]

    def set(self, status: ModelStatus) -> None:
        """Take this for the status of its version."""
        self._statuses[status.key] = status
        if status.state == "available":
            del self._statuses[status.key]
        ready = (each.key for each in self._statuses.values() if each.state == "ready")
        self._latest = dict(sorted(ready))

    def pin(self, key: ModelKey) -> None:
        """Want a version, however old it is."""
        self._dropped.discard(key)
        self._pinned.add(key)

    def drop(self, key: ModelKey) -> None:
        """Do not want a version, however new it is."""
        self._pinned.discard(key)
        self._dropped.add(key)

    def failed(self) -> Sequence[ModelKey]:
        """The versions that could not be loaded."""
        return [status.key for status in self._statuses.values() if status.state == "failed"]

    def loaded(self, name: str = "", version: int = 0) -> Sequence[ModelKey]:
        """The versions in memory: of one model if named, that one version if not 0."""
        keys = [status.key for status in self._statuses.values() if status.state in _LOADED]
        return [key for key in keys if name in ("", key.name) and version in (0, key.version)]

    # What ought to be done

    def models(self) -> Collection[str]:
        """The names of what is stored or loaded, in order."""
        return sorted({*self._stored, *(key.name for key in self.loaded())})

    def missing(self, name: str) -> ModelKey | None:
        """The version of a model that is to be loaded next, the newest first."""
        loaded = self.loaded(name)
        return next((key for key in self._wanted(name) if key not in loaded), None)

    def surplus(self, name: str) -> Sequence[ModelKey]:
        """The versions of a model that are to be unloaded."""
        wanted = self._wanted(name)
        return [key for key in self.loaded(name) if key not in wanted]

    def newest(self, name: str) -> ModelKey:
        """The newest version that is stored. Raises `NoSuchModel`, or `NotReady` while that is not known."""
        versions = self._stored.get(name)
        if not self.complete and not versions:
            raise NotReady("models are being loaded")
        if not versions:
            raise NoSuchModel(f"model: no model is called {name!r}; there are {_listed(self._stored)}")
        return ModelKey(name, max(versions))

    def _wanted(self, name: str) -> Sequence[ModelKey]:
        """Newest first."""
        failed, routed = self.failed(), self._routed(name)
        keys = [ModelKey(name, version) for version in sorted(self._stored.get(name, ()), reverse=True)]
        works = [key for key in keys if key not in failed and key not in self._dropped]
        kept = (key for key in works[self._keep :] if key in self._pinned or key.version in routed)
        return [*works[: self._keep], *kept]

    # What to say

    def resolve(self, name: str, version: int) -> ModelKey:
        """The ready version asked for, the latest for 0. Raises `NoSuchModel`, `NotReady` or `Refused`."""
        key = ModelKey(name, version or self._latest.get(name, 0))
        if key not in self._statuses or self._statuses[key].state != "ready":
            self._refuse(key)
        return key

    def list(self) -> Sequence[ModelStatus]:
        """Every version that is stored or served, by name and version."""
        stored = {ModelKey(name, version) for name, versions in self._stored.items() for version in versions}
        return [self._status(key) for key in sorted(stored | self._statuses.keys())]

    def get(self, name: str, version: int) -> ModelStatus:
        """The status of one version; 0 is the latest ready one, or else the newest stored. Raises `NoSuchModel`."""
        if version == 0:
            version = self._latest.get(name) or self.newest(name).version
        key = ModelKey(name, version)
        if version not in self._stored.get(name, ()) and key not in self._statuses:
            raise NoSuchModel(f"model: {name!r} has no version {version}; there are {_listed(self._stored.get(name))}")
        return self._status(key)

    def ready(self) -> tuple[bool, str]:
        """Whether anything can be answered, and why not."""
        if not self.complete:
            return False, "models are being loaded"
        if not self.loaded():
            reasons = "; ".join(f"{key}: {self._statuses[key].reason}" for key in self.failed())
            return False, f"no model is served: {reasons or 'the store is empty'}"
        return True, ""

    def _status(self, key: ModelKey) -> ModelStatus:
        status = self._statuses.get(key, ModelStatus(key, "available"))
        return replace(status, latest=key.version == self._latest.get(key.name))

    def _refuse(self, key: ModelKey) -> NoReturn:
        status = self.get(key.name, key.version)
        if status.state == "available":
            raise Refused(f"model: {status.key} is stored but not loaded; Models.Load loads it")
        raise NotReady(f"model: {status.key} is {status.state}" + (f": {status.reason}" if status.reason else ""))


def _listed(names: Iterable[object] | None) -> str:
    return ", ".join(str(name) for name in names or ()) or "none"
