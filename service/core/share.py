"""How a lane that falls idle helps itself."""

from __future__ import annotations


def portion(admitted: int, hands: int, best_batch: int) -> int:
    """The batch that lets each of `hands` threads have one of all that is `admitted` and unanswered, at most the best.

    Callers who wait for an answer before they ask again are all in the batches that run, if those take everything:
    then a lane that ends finds nothing, and stands still until they have come again.
    """
    return min(best_batch, -(-admitted // hands))


def share(waiting: int, idle_lanes: int, best_batch: int) -> int:
    """How many of `waiting` requests one of `idle_lanes` lanes takes: an equal part, at most `best_batch`.

    Taking everything would leave the other lanes idle beside a large batch; waiting for company would leave all of
    them idle. Both were measured to cost more than they bring on CPUs.

    With no lane idle it is a whole batch, to be begun by the first lane that ends its own, or none while there are
    fewer: those would be a batch too small, and too early.
    """
    if idle_lanes > 0:
        return min(best_batch, -(-waiting // idle_lanes))
    return best_batch if waiting >= best_batch else 0


def bound(waiting: int, taken: int, best_batch: int) -> str:
    """Why a lane took `taken` of `waiting`, and not more.

    It filled its batch ("full"), took all there was ("drained"), or left the rest to other idle lanes ("shared"). When
    nothing was waiting, these are what a dead worker has left ("claimed").
    """
    if not waiting:
        return "claimed"
    if taken == best_batch:
        return "full"
    return "drained" if taken == waiting else "shared"
