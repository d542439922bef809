"""Whose work is looked at first, and how much of it goes into one batch."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from service.core.messages import Priority

#: One turn in so many begins with the least urgent work, so that it is never starved.
_FAIR_EVERY = 16
#: What may share a batch. Whoever asks online waits for all of its batch, and not for bulk work beside it.
ONLINE, BULK = (Priority.HIGH, Priority.NORMAL), (Priority.BULK,)
#: For so long after somebody has asked online, in seconds, the next one is expected at any time.
_EXPECTED_S = 5.0
#: What a bulk batch may take then, in seconds: who comes meanwhile waits for its end. A single item may take longer.
_BITE_S = 0.002

Item = TypeVar("Item", bound=Hashable)


def order(turn: int) -> Sequence[Sequence[Priority]]:
    """In which order lines are looked at in the `turn`-th turn, from 0; together those that may share a batch."""
    return (BULK, ONLINE) if turn % _FAIR_EVERY == _FAIR_EVERY - 1 else (ONLINE, BULK)


class Courtesy:
    """Keeps bulk batches short while somebody asks online. One for all models that share cores."""

    def __init__(self) -> None:
        self._asked_s = -math.inf

    def asked(self, priority: Priority, now: float) -> None:
        """A request came at `now`."""
        if priority is not Priority.BULK:
            self._asked_s = now

    def most(self, priorities: Sequence[Priority], now: float, item_s: float) -> float:
        """How many items a batch of these may have that take `item_s` seconds each; 0 where that is not known."""
        if Priority.BULK not in priorities or not item_s or now - self._asked_s > _EXPECTED_S:
            return math.inf
        return max(1, int(_BITE_S / item_s))


class Turns(Generic[Item]):
    """What waits for a lane, the oldest of each priority first."""

    __slots__ = ("_courtesy", "_turn", "_waiting")

    def __init__(self, courtesy: Courtesy) -> None:
        self._courtesy = courtesy
        self._waiting: tuple[OrderedDict[Item, None], ...] = tuple(OrderedDict() for _ in Priority)
        self._turn = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting))

    def count(self, priorities: Sequence[Priority]) -> int:
        """How many of these wait."""
        return sum(len(self._waiting[priority]) for priority in priorities)

    def add(self, item: Item, priority: Priority) -> None:
        """Let it wait."""
        self._waiting[priority][item] = None

    def discard(self, item: Item, priority: Priority) -> None:
        """It waits no more, if it did."""
        self._waiting[priority].pop(item, None)

    def take(self, limit: Callable[[int], int], now: float, item_s: float) -> list[Item]:
        """The next batch, of at most `limit(count)` of the `count` items that may share it.

        `item_s` is what one item takes in seconds, 0 where that is not known.
        """
        for priorities in order(self._turn):
            if count := self.count(priorities):
                return self._pop(priorities, limit(int(min(count, self._courtesy.most(priorities, now, item_s)))))
        return []

    def _pop(self, priorities: Sequence[Priority], count: int) -> list[Item]:
        taken: list[Item] = []
        for priority in priorities:
            waiting = self._waiting[priority]
            taken += [waiting.popitem(last=False)[0] for _ in range(min(count - len(taken), len(waiting)))]
        self._turn += bool(taken)
        return taken
