"""How often one caller may ask."""

from __future__ import annotations

import pytest

from service.core.allowance import MAX_CALLERS, Allowance


def test_a_sixth_may_come_at_once() -> None:
    """Then the rest as the minute goes by."""
    allowance = Allowance(per_minute=60)

    assert [allowance.take("a", 0.0) for _ in range(10)] == [0.0] * 10
    assert allowance.take("a", 0.0) == pytest.approx(1.0)
    assert allowance.take("a", 0.25) == pytest.approx(0.75)
    assert allowance.take("a", 1.0) == 0.0


def test_no_more_than_that_is_saved_up() -> None:
    """An hour of silence is worth no more than the burst."""
    allowance = Allowance(per_minute=12)
    allowance.take("a", 0.0)

    assert [allowance.take("a", 3600.0) for _ in range(3)] == [0.0, 0.0, pytest.approx(5.0)]


def test_callers_do_not_share() -> None:
    """One that asks too much leaves the others alone."""
    allowance = Allowance(per_minute=6)

    assert allowance.take("a", 0.0) == 0.0
    assert allowance.take("a", 0.0) > 0
    assert allowance.take("b", 0.0) == 0.0


def test_only_so_many_are_remembered() -> None:
    """Whoever was not seen for longest starts afresh."""
    allowance = Allowance(per_minute=6)
    allowance.take("first", 0.0)
    for number in range(MAX_CALLERS):
        allowance.take(str(number), 0.0)

    assert allowance.take("first", 0.0) == 0.0
    assert allowance.take(str(MAX_CALLERS - 1), 0.0) > 0
