"""When the SDK tries again, and when it must not."""

from __future__ import annotations

import pytest

from service.client.retry import Retry
from service.core.errors import BadImage, EngineFailed, NotReady, OverBudget, Overloaded, Reason, ServiceError, TooLate

RETRY = Retry(budget_s=10, first_s=0.1, longest_s=5)


def test_the_server_s_delay_is_honoured() -> None:
    """Never earlier than asked; the jitter comes on top."""
    overloaded = Overloaded(Reason.FULL, "full", retry_after_s=2.0)

    assert RETRY.wait_s(overloaded, 0, 0.0, jitter=0.0) == 2.0
    assert RETRY.wait_s(overloaded, 0, 0.0, jitter=1.0) == 2.1


def test_waits_grow_up_to_a_longest() -> None:
    """Twice as long each time, then constant."""
    waits = [RETRY.wait_s(NotReady("starting"), attempt, 0.0, jitter=1.0) for attempt in (0, 1, 2, 5, 6, 60)]

    assert waits == [0.1, 0.2, 0.4, 3.2, 5, 5]


def test_jitter_spreads_the_callers() -> None:
    """Many callers that were refused together do not come back together."""
    assert RETRY.wait_s(NotReady("starting"), 3, 0.0, jitter=0.25) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "error", [BadImage("image", "a picture", "text"), TooLate("late"), EngineFailed("failed"), OverBudget("9 GB")]
)
def test_what_would_fail_again_is_not_repeated(error: ServiceError) -> None:
    """Mistakes, lateness, answers that are too large and engine failures are final."""
    assert RETRY.wait_s(error, 0, 0.0, jitter=0.0) is None


def test_the_budget_ends_it() -> None:
    """A wait that would exceed the budget is not begun."""
    overloaded = Overloaded(Reason.FULL, "full", retry_after_s=3.0)

    assert RETRY.wait_s(overloaded, 2, 7.0, jitter=0.0) == 3.0
    assert RETRY.wait_s(overloaded, 2, 7.1, jitter=0.0) is None


def test_no_budget_means_no_retry() -> None:
    """Whoever wants to decide alone sets the budget to 0."""
    assert Retry(budget_s=0).wait_s(NotReady("starting"), 0, 0.0, jitter=0.5) is None
