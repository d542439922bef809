"""Whose work is looked at first."""

from __future__ import annotations

from collections.abc import Sequence

from service.core.messages import Priority

#: One turn in so many begins with the least urgent work, so that it is never starved.
_FAIR_EVERY = 16

_STRICT = tuple(Priority)
_FAIR = tuple(reversed(Priority))


def order(turn: int) -> Sequence[Priority]:
    """In which order the lines are looked at in the `turn`-th turn, counted from 0."""
    return _FAIR if turn % _FAIR_EVERY == _FAIR_EVERY - 1 else _STRICT
