"""How a lane that falls idle helps itself."""

from __future__ import annotations


def share(waiting: int, idle_lanes: int, best_batch: int) -> int:
    """How many of `waiting` requests one of `idle_lanes` lanes takes: an equal part, at most `best_batch`.

    Taking everything would leave the other lanes idle beside a large batch; waiting for company would leave all of
    them idle. Both were measured to cost more than they bring on CPUs.
    """
    return min(best_batch, -(-waiting // idle_lanes))
