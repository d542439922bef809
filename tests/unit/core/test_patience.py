"""When a batch counts as stuck."""

from __future__ import annotations

from service.core.patience import Patience


def test_a_batch_may_take_ten_times_what_its_like_take() -> None:
    """The p99 counts: one batch in a hundred that was slow says nothing about the others."""
    took_s = [1.0] * 99 + [60.0]

    assert Patience(factor=10, least_s=5).limit_s(took_s) == 10
    assert Patience(factor=10, least_s=5).limit_s([1.0] * 98 + [60.0] * 2) == 600


def test_nobody_is_called_stuck_too_soon() -> None:
    """Quick batches, or none so far: there is a least age."""
    assert Patience(factor=10, least_s=5).limit_s([0.001] * 50) == 5
    assert Patience(factor=10, least_s=5).limit_s([]) == 5
