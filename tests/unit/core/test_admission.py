from __future__ import annotations

import pytest

from service.core.admission import Backlog, computed
from service.core.errors import BadImage, Cancelled, EngineFailed, TooLate
from service.core.messages import Priority


def test_what_was_dropped_cost_nothing() -> None:
    """A batch of four of which one was computed took the time of one, not of four."""
    late, gone = TooLate("deadline"), Cancelled("left")

    assert computed([late, gone, BadImage("image", "a picture", "noise"), EngineFailed("it broke")]) == 1
    assert computed([late, late]) == 0


def test_a_batch_that_was_dropped_teaches_nothing() -> None:
    """Otherwise an overloaded lane would look ever quicker, and more and more would be admitted to be late."""
    backlog = Backlog(hands=1)
    backlog.pace.served(2, took_s=0.2)
    backlog.pace.served(0, took_s=0.001)

    assert backlog.pace.service_s == pytest.approx(0.1)


def test_the_wait_is_estimated_with_caution() -> None:
    """A quarter is added to the mean; only what goes first or is as urgent counts, shared by all lanes."""
    backlog = Backlog(hands=2)
    backlog.pace.served(1, took_s=0.1)
    for priority, count in ((Priority.HIGH, 4), (Priority.NORMAL, 4), (Priority.BULK, 100)):
        for _ in range(count):
            backlog.add(10, priority)

    assert backlog.wait_s(Priority.HIGH) == pytest.approx(0.25)
    assert backlog.wait_s(Priority.NORMAL) == pytest.approx(0.5)
