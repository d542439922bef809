"""The routings in force, and where one process keeps them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.core.errors import InvalidInput, NoSuchModel, NotReady, Refused
from service.core.events import Event, RoutingChanged
from service.core.messages import ModelKey
from service.core.routing import Routing, Shadow
from service.core.status import ModelStatus, State
from service.routing.file import RoutingFile
from service.routing.table import RoutingTable

HALVES = Routing({"stable": 1, "canary": 2}, {"stable": 50.0, "canary": 50.0})


@dataclass
class Catalog:
    """One model, `digits`, with versions in some states; 3 is the latest."""

    states: dict[int, State] = field(default_factory=lambda: {1: "ready", 2: "ready", 3: "ready", 4: "failed"})

    def get(self, name: str, version: int) -> ModelStatus:
        number = version or 3
        if name != "digits" or number not in self.states:
            raise NoSuchModel(f"model: no {name}:{number}")
        return ModelStatus(ModelKey(name, number), self.states[number], reason="broken")

    def resolve(self, name: str, version: int) -> ModelKey:
        return self.get(name, version).key


@dataclass
class Bench:
    """A table over a file."""

    path: Path
    catalog: Catalog = field(default_factory=Catalog)
    events: list[Event] = field(default_factory=list)

    def table(self) -> RoutingTable:
        """As after a restart."""
        return RoutingTable(RoutingFile(self.path), self.catalog, self.events.append)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "routing.yaml")


async def test_without_a_routing_versions_are_numbers(bench: Bench) -> None:
    """0 stays 0, which is the latest; a label is unknown, of an unknown model too."""
    table = bench.table()

    assert [table.choose("digits", 0), table.choose("digits", 2), table.choose("nobody", 0)] == [0, 2, 0]
    assert table.resolve("digits", 0) == ModelKey("digits", 3)
    with pytest.raises(NoSuchModel, match="'digits' has no label 'canary'"):
        table.choose("digits", 0, "canary")
    with pytest.raises(NoSuchModel, match="no nobody:3"):
        table.choose("nobody", 0, "canary")


async def test_a_routing_is_in_force_at_once(bench: Bench) -> None:
    """For labels, for keys, which stick, and for requests without one, which are spread."""
    table = bench.table()
    record = await table.set("digits", HALVES)

    assert record.revision == 1
    assert table.choose("digits", 0, "canary") == 2
    assert len({table.choose("digits", 0, key="ann") for _ in range(20)}) == 1
    assert set(Counter(table.choose("digits", 0) for _ in range(200))) == {1, 2}
    assert {table.resolve("digits", 0).version for _ in range(200)} == {1, 2}
    assert table.choose("digits", 3, key="ann") == 3
    assert bench.events == [RoutingChanged("digits", HALVES, 1)]


async def test_a_label_beside_a_version_is_refused(bench: Bench) -> None:
    """Nobody knows which one was meant."""
    with pytest.raises(InvalidInput, match="label: must not be set beside a version"):
        bench.table().choose("digits", 2, "canary")


async def test_whoever_needs_one_version_gets_the_main_one(bench: Bench) -> None:
    """Always the same; a version that is named stays that."""
    table = bench.table()
    await table.set("digits", Routing({"stable": 1, "canary": 2}, {"stable": 90.0, "canary": 10.0}))

    assert {table.settle("digits", 0).version for _ in range(50)} == {1}
    assert table.settle("digits", 2).version == 2
    assert table.versions("digits") == {1, 2}


@pytest.mark.parametrize(
    ("routing", "error", "message"),
    [
        (Routing({"stable": 9}), NoSuchModel, "no digits:9"),
        (Routing({"stable": 4}), NotReady, "labels.stable: digits:4 failed to load: broken"),
        (Routing({"stable": 5}, {"stable": 1}), NotReady, "split.stable: digits:5 is available; load it first"),
    ],
)
async def test_versions_that_cannot_answer_are_refused(
    bench: Bench, routing: Routing, error: type[Exception], message: str
) -> None:
    """Nothing changes then."""
    bench.catalog.states[5] = "available"
    table = bench.table()
    with pytest.raises(error, match=message):
        await table.set("digits", routing)

    assert table.get("digits").revision == 0
    assert not bench.path.exists()


async def test_a_version_that_is_gone_takes_no_part(bench: Bench) -> None:
    """Its callers get the other one until it is back."""
    table = bench.table()
    await table.set("digits", HALVES)
    del bench.catalog.states[2]

    assert {table.choose("digits", 0) for _ in range(100)} == {1}


async def test_routings_survive_a_restart(bench: Bench) -> None:
    """And can be gone back to after it."""
    await bench.table().set("digits", HALVES)
    await bench.table().set("digits", Routing({"stable": 3}, shadow=Shadow("stable", 0.5)))
    table = bench.table()
    await table.follow()

    assert table.get("digits").routing == Routing({"stable": 3}, shadow=Shadow("stable", 0.5))
    assert (await table.roll_back("digits")).routing == HALVES
    assert (await bench.table().roll_back("digits")).routing == Routing()


async def test_rolling_back_asks_nobody(bench: Bench) -> None:
    """Also to versions that cannot answer just now: something is burning."""
    table = bench.table()
    await table.set("digits", HALVES)
    await table.set("digits", Routing({"stable": 3}))
    del bench.catalog.states[1]

    assert (await table.roll_back("digits")).routing == HALVES


async def test_who_read_an_older_routing_is_told(bench: Bench) -> None:
    """By the revision that they want to replace."""
    table = bench.table()
    await table.set("digits", HALVES)
    with pytest.raises(Refused, match="'digits' is at 1 by now, and not at 7"):
        await table.set("digits", Routing(), revision=7)
    with pytest.raises(Refused, match="'digits' is at 1 by now, and not at 7"):
        await table.roll_back("digits", revision=7)


async def test_a_routing_may_be_written_by_hand(bench: Bench) -> None:
    """It is in force at the next look; what it replaced can be gone back to, and deleting the file is a change too."""
    table = bench.table()
    await table.set("digits", HALVES)
    bench.path.write_text("digits:\n  labels: {stable: 2}\n")
    await table.follow()

    assert (table.get("digits").routing, table.get("digits").revision) == (Routing({"stable": 2}), 2)
    bench.path.unlink()
    await table.follow()
    assert table.get("digits").routing == Routing()
    assert (await table.roll_back("digits")).routing == Routing({"stable": 2})


async def test_what_cannot_be_read_changes_nothing(bench: Bench) -> None:
    """The message names file and field."""
    table = bench.table()
    await table.set("digits", HALVES)
    for text, message in {
        "digits: {labels: {stable: x}}": r"routing\.yaml: digits\.routing\.labels\.stable: .*got 'x'",
        "digits: {labels: {stable: 1}, split: {canary: 1}}": "split: a label that is set: stable, got 'canary'",
        "[1, 2]": "must hold models by name, got list",
        "{": "must be YAML",
    }.items():
        bench.path.write_text(text)
        with pytest.raises(InvalidInput, match=message):
            await table.follow()

    assert table.get("digits").routing == HALVES


async def test_what_cannot_be_kept_is_not_in_force(bench: Bench, tmp_path: Path) -> None:
    """A folder that is not there: the setting that names it is in the message."""
    bench.path = tmp_path / "absent" / "routing.yaml"
    table = bench.table()
    with pytest.raises(Refused, match=r"cannot be kept in .*absent/routing\.yaml: No such file.*; see routing_file"):
        await table.set("digits", HALVES)

    assert table.get("digits").routing == Routing()
