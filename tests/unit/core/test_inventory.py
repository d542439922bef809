"""Which versions ought to be served."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.core.inventory import Inventory
from service.core.messages import ModelKey
from service.core.status import ModelStatus, State


def digits(version: int) -> ModelKey:
    return ModelKey("digits", version)


def bring(inventory: Inventory, *, failing: frozenset[int] = frozenset()) -> list[int]:
    """Load and unload what it asks for, as a catalog does; the versions that are loaded then."""
    while key := inventory.missing("digits"):
        inventory.set(ModelStatus(key, "failed" if key.version in failing else "ready"))
    for key in inventory.surplus("digits"):
        inventory.set(ModelStatus(key, "available"))
    inventory.complete = True
    return sorted(key.version for key in inventory.loaded("digits"))


def states(inventory: Inventory) -> dict[int, State]:
    return {status.key.version: status.state for status in inventory.list()}


@given(
    stored=st.sets(st.integers(1, 12)),
    failing=st.frozensets(st.integers(1, 12)),
    dropped=st.frozensets(st.integers(1, 12)),
    pinned=st.frozensets(st.integers(1, 12)),
    routed=st.frozensets(st.integers(1, 12)),
    keep=st.integers(1, 3),
)
def test_the_newest_that_work_are_wanted_and_whatever_is_routed_to_or_pinned(
    *,
    stored: set[int],
    failing: frozenset[int],
    dropped: frozenset[int],
    pinned: frozenset[int],
    routed: frozenset[int],
    keep: int,
) -> None:
    """Whatever was loaded before, and in whichever order it happened."""
    inventory = Inventory(keep, lambda _name: routed)
    inventory.restock({"digits": (1, 2)})
    bring(inventory)
    for version in pinned:
        inventory.pin(digits(version))
    for version in dropped:
        inventory.drop(digits(version))
    inventory.restock({"digits": tuple(sorted(stored))})

    loaded = set(bring(inventory, failing=failing - {1, 2}))

    works = sorted(stored - dropped - (failing - {1, 2}), reverse=True)
    assert loaded == {
        *works[:keep],
        *(version for version in works if version in routed or version in pinned - dropped),
    }


def test_a_model_that_is_no_longer_stored_goes() -> None:
    """All of it, though it is still named until it has gone."""
    inventory = Inventory()
    inventory.restock({"digits": (1, 2)})
    bring(inventory)
    inventory.restock({})

    assert inventory.models() == ["digits"]
    assert sorted(inventory.surplus("digits")) == [digits(1), digits(2)]
    assert bring(inventory) == []
    assert inventory.models() == []


def test_the_latest_is_the_newest_that_answers() -> None:
    """Not one that is being loaded or unloaded, or has failed."""
    inventory = Inventory(keep=3)
    inventory.restock({"digits": (1, 2, 3)})
    bring(inventory, failing=frozenset({3}))
    assert inventory.resolve("digits", 0) == digits(2)

    inventory.set(ModelStatus(digits(2), "unloading"))

    assert inventory.resolve("digits", 0) == digits(1)
    assert [status.key.version for status in inventory.list() if status.latest] == [1]
    assert states(inventory) == {1: "ready", 2: "unloading", 3: "failed"}


def test_a_failure_is_forgotten_with_its_version() -> None:
    """And its model with it."""
    inventory = Inventory()
    inventory.restock({"digits": (1,)})
    bring(inventory, failing=frozenset({1}))
    assert inventory.ready() == (False, "no model is served: digits:1: ")

    inventory.restock({})

    assert inventory.ready() == (False, "no model is served: the store is empty")
