"""How a lane that falls idle helps itself, and what bounded it."""

from __future__ import annotations

import pytest

from service.core.share import bound, portion, share


@pytest.mark.parametrize(
    ("waiting", "idle", "taken", "reason"),
    [(3, 1, 3, "drained"), (4, 1, 4, "full"), (9, 1, 4, "full"), (6, 3, 2, "shared"), (1, 2, 1, "drained")],
)
def test_a_lane_takes_its_part(waiting: int, idle: int, taken: int, reason: str) -> None:
    """An equal part of what waits, at most its best batch of four, and it is known which of these it was."""
    assert share(waiting, idle, best_batch=4) == taken
    assert bound(waiting, taken, best_batch=4) == reason


def test_what_a_dead_worker_left_was_claimed() -> None:
    """It did not wait in the queue of this lane."""
    assert bound(0, 2, best_batch=4) == "claimed"


@pytest.mark.parametrize(("admitted", "wanted"), [(1, 1), (4, 1), (8, 2), (9, 3), (32, 4)])
def test_a_portion_leaves_something_for_every_hand(admitted: int, wanted: int) -> None:
    """Eight callers and four hands: two each, so that no lane finds an empty queue while its callers ask again."""
    assert portion(admitted, hands=4, best_batch=4) == wanted
