"""Who goes first, what shares a batch, and how long a bulk batch may be."""

from __future__ import annotations

import math

from service.core.messages import Priority
from service.core.turns import Courtesy, Turns

HIGH, NORMAL, BULK = Priority


def everything(count: int) -> int:
    return count


def waiting(courtesy: Courtesy, **items: Priority) -> Turns[str]:
    """These wait, in this order."""
    made: Turns[str] = Turns(courtesy)
    for name, priority in items.items():
        made.add(name, priority)
    return made


def test_urgent_work_goes_first_and_bulk_work_by_itself() -> None:
    """High before normal in one batch; what has time does not fill it up."""
    turns = waiting(Courtesy(), a=BULK, b=NORMAL, c=HIGH, d=BULK)

    assert [turns.take(everything, 0.0, 0.0) for _ in range(3)] == [["c", "b"], ["a", "d"], []]


def test_a_lane_is_told_what_may_share_its_batch() -> None:
    """Not what waits behind it."""
    turns, told = waiting(Courtesy(), a=NORMAL, b=BULK, c=BULK), list[int]()

    def none(count: int) -> int:
        told.append(count)
        return 0

    assert (turns.take(none, 0.0, 0.0), told, len(turns)) == ([], [1], 3)


def test_bulk_work_has_one_turn_of_sixteen() -> None:
    """However much urgent work there is."""
    turns = waiting(Courtesy(), bulk=BULK, **{f"n{n}": NORMAL for n in range(20)})
    taken = [turns.take(lambda _: 1, 0.0, 0.0)[0] for _ in range(17)]

    assert taken.index("bulk") == 15


def test_what_leaves_waits_no_more() -> None:
    """Whether it waited or not."""
    turns = waiting(Courtesy(), a=NORMAL)
    turns.discard("a", NORMAL)
    turns.discard("b", NORMAL)

    assert not turns


def test_bulk_batches_are_short_while_somebody_asks_online() -> None:
    """At 0.5 ms for each item four of them; one at least, however slow; all again when nobody has asked for a while."""
    courtesy = Courtesy()
    courtesy.asked(NORMAL, 10.0)
    turns = waiting(courtesy, **{f"b{n}": BULK for n in range(20)})

    assert [len(turns.take(everything, 10.1, item_s)) for item_s in (0.0005, 0.3)] == [4, 1]
    assert len(turns.take(everything, 16.0, 0.0005)) == 15


def test_bulk_work_does_not_keep_itself_short() -> None:
    """Only who asks online does; and who asks online is never kept short."""
    courtesy = Courtesy()
    courtesy.asked(BULK, 10.0)
    assert courtesy.most((BULK,), 10.0, 0.5) == math.inf
    courtesy.asked(HIGH, 10.0)
    assert courtesy.most((HIGH, NORMAL), 10.0, 0.5) == math.inf
