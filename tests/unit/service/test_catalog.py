"""Which versions are served, as the store changes underneath."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from service.catalog import Catalog
from service.core.admission import QueueLimits
from service.core.errors import NoSuchModel, NotReady, Refused, ServiceError
from service.core.events import Event, ModelChanged
from service.core.image import Limits
from service.core.messages import ModelKey, Request
from service.core.ports import Engine
from service.lane import Lane
from service.queues.memory import MemoryQueue
from service.worker import Worker
from tests.engines import FakeEngine, tuned
from tests.unit.service.pictures import LIGHT


class BrokenFile(ServiceError):
    """What a store says of a file it cannot use."""


@dataclass
class FakeStore:
    """Versions by name; `broken` ones cannot be opened, until their fingerprint changes."""

    stored: dict[str, tuple[int, ...]] = field(default_factory=dict)
    broken: set[ModelKey] = field(default_factory=set)
    opened: list[str] = field(default_factory=list)
    engines: dict[ModelKey, FakeEngine] = field(default_factory=dict)

    def versions(self) -> Mapping[str, tuple[int, ...]]:
        return dict(self.stored)

    def fingerprint(self, key: ModelKey) -> object:
        return key in self.broken

    def open_engine(self, key: ModelKey) -> Engine:
        self.opened.append(str(key))
        if key in self.broken:
            raise BrokenFile("model.onnx: its digest differs")
        self.engines[key] = FakeEngine(tuning=tuned())
        return self.engines[key]


@dataclass
class Bench:
    """A catalog over a fake store, with real workers on a real queue in the process."""

    store: FakeStore = field(default_factory=FakeStore)
    events: list[Event] = field(default_factory=list)
    queue: MemoryQueue = field(init=False)
    catalog: Catalog = field(init=False)

    def __post_init__(self) -> None:
        self.queue = MemoryQueue(QueueLimits(), self.events.append)
        self.catalog = Catalog(self.store, self.store.open_engine, self.host, self.events.append, keep=2)

    def host(self, key: ModelKey, engine: Engine) -> Worker:
        return Worker(key, engine, self.queue, Lane(key, engine, Limits(), self.events.append), self.events.append)

    def states(self) -> dict[str, str]:
        """State by model and version."""
        return {str(status.key): status.state for status in self.catalog.list()}

    async def publish(self, *versions: int, broken: int = 0) -> None:
        """Make these the stored versions of "digits", and follow."""
        self.store.stored["digits"] = versions
        self.store.broken = {ModelKey("digits", broken)}
        await self.catalog.follow()


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_the_newest_versions_are_served(bench: Bench) -> None:
    """Of three stored versions the two newest are loaded, the newest first; it is the latest."""
    await bench.publish(1, 2, 3)

    assert bench.store.opened == ["digits:3", "digits:2"]
    assert bench.states() == {"digits:1": "available", "digits:2": "ready", "digits:3": "ready"}
    assert bench.catalog.resolve("digits", 0) == ModelKey("digits", 3)
    assert bench.catalog.resolve("digits", 2) == ModelKey("digits", 2)
    assert [status.latest for status in bench.catalog.list()] == [False, False, True]
    await bench.catalog.close()


async def test_a_new_version_takes_over_and_the_oldest_retires(bench: Bench) -> None:
    """Publishing 3 beside 1 and 2: 3 answers, 2 can be asked for, 1 is let go and its engine closed."""
    await bench.publish(1, 2)
    await bench.publish(1, 2, 3)

    assert bench.catalog.resolve("digits", 0) == ModelKey("digits", 3)
    assert bench.states() == {"digits:1": "available", "digits:2": "ready", "digits:3": "ready"}
    assert bench.store.engines[ModelKey("digits", 1)].closed
    await bench.catalog.close()


async def test_a_broken_version_leaves_the_others_in_place(bench: Bench) -> None:
    """Its reason is shown, both older versions stay, and the latest is the newest that works."""
    await bench.publish(1, 2)
    await bench.publish(1, 2, 3, broken=3)

    assert bench.states() == {"digits:1": "ready", "digits:2": "ready", "digits:3": "failed"}
    assert bench.catalog.get("digits", 3).reason == "model.onnx: its digest differs"
    assert bench.catalog.resolve("digits", 0) == ModelKey("digits", 2)
    with pytest.raises(NotReady, match=r"digits:3 is failed: model\.onnx: its digest differs"):
        bench.catalog.resolve("digits", 3)
    await bench.catalog.close()


async def test_a_broken_version_is_tried_again_only_when_its_files_change(bench: Bench) -> None:
    """Nothing is read twice in vain; once repaired, it is served."""
    await bench.publish(1, broken=1)
    await bench.publish(1, broken=1)
    assert bench.store.opened == ["digits:1"]

    await bench.publish(1)
    assert bench.states() == {"digits:1": "ready"}
    await bench.catalog.close()


async def test_a_model_whose_folder_is_removed_is_let_go(bench: Bench) -> None:
    """The store decides what exists."""
    await bench.publish(1)
    bench.store.stored.clear()
    await bench.catalog.follow()

    assert bench.states() == {}
    with pytest.raises(NoSuchModel, match="no model is called 'digits'; there are none"):
        bench.catalog.resolve("digits", 0)


async def test_unloading_holds_until_it_is_loaded_again(bench: Bench) -> None:
    """An unloaded version is not brought back by the next look at the store, only by `load`."""
    await bench.publish(1, 2)
    await bench.catalog.unload("digits", 0)
    await bench.catalog.follow()

    assert bench.states() == {"digits:1": "available", "digits:2": "available"}
    with pytest.raises(Refused, match="digits:2 is stored but not loaded"):
        bench.catalog.resolve("digits", 0)
    assert (await bench.catalog.load("digits", 0)).state == "ready"
    assert bench.states() == {"digits:1": "available", "digits:2": "ready"}
    await bench.catalog.close()


async def test_an_old_version_can_be_loaded_and_stays(bench: Bench) -> None:
    """A version beyond the newest two is kept once it was asked for."""
    await bench.publish(1, 2, 3)
    assert (await bench.catalog.load("digits", 1)).state == "ready"
    await bench.catalog.follow()

    assert bench.states() == {"digits:1": "ready", "digits:2": "ready", "digits:3": "ready"}
    await bench.catalog.close()


async def test_loading_a_broken_version_says_why(bench: Bench) -> None:
    """The caller of `load` gets the reason, not an exception."""
    await bench.publish(1, broken=1)

    status = await bench.catalog.load("digits", 1)
    assert (status.state, status.reason) == ("failed", "model.onnx: its digest differs")


@pytest.mark.parametrize(("name", "version"), [("nothing", 0), ("digits", 9)])
async def test_what_is_not_there_cannot_be_loaded_or_unloaded(bench: Bench, name: str, version: int) -> None:
    """Unknown names and versions are named in the error."""
    await bench.publish(1)

    with pytest.raises(NoSuchModel, match=name):
        await bench.catalog.load(name, version)
    with pytest.raises(NoSuchModel, match=name):
        await bench.catalog.unload(name, version)
    with pytest.raises(NoSuchModel, match=name):
        bench.catalog.resolve(name, version)
    await bench.catalog.close()


async def test_readiness_says_what_is_missing(bench: Bench) -> None:
    """Not ready while loading, while everything is broken, and over an empty store."""
    assert bench.catalog.ready() == (False, "models are being loaded")
    with pytest.raises(NotReady, match="models are being loaded"):
        bench.catalog.resolve("digits", 0)

    await bench.catalog.follow()
    assert bench.catalog.ready() == (False, "no model is served: the store is empty")

    await bench.publish(1, broken=1)
    assert bench.catalog.ready() == (False, "no model is served: digits:1: model.onnx: its digest differs")

    await bench.publish(1)
    assert bench.catalog.ready() == (True, "")
    await bench.catalog.close()


async def test_every_change_is_a_fact(bench: Bench) -> None:
    """Loading, ready, unloading and available are stated in that order."""
    await bench.publish(1)
    await bench.catalog.close()

    changes = [event.state for event in bench.events if isinstance(event, ModelChanged)]
    assert changes == ["loading", "ready", "unloading", "available"]


async def test_retiring_answers_what_is_in_flight(bench: Bench) -> None:
    """A request of the old version that is being computed is answered before its engine is closed."""
    await bench.publish(1)
    engine = bench.store.engines[ModelKey("digits", 1)]
    engine.hold()
    asked = asyncio.create_task(bench.queue.submit(Request("a", ModelKey("digits", 1), LIGHT)))
    assert await asyncio.to_thread(engine.started.acquire, timeout=30)
    unloading = asyncio.create_task(bench.catalog.unload("digits", 1))
    while bench.states() != {"digits:1": "unloading"}:
        await asyncio.sleep(0)
    assert not engine.closed
    engine.release()

    assert (await asked).predictions[0].label == "light"
    await unloading
    assert engine.closed
