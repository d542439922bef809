from __future__ import annotations

import asyncio
from functools import partial

from service.queues.stirring import Stirring


async def test_what_is_true_already_is_not_waited_for() -> None:
    await Stirring().until(lambda: True)


async def test_a_waiter_looks_at_each_stir_and_returns_when_it_is_true() -> None:
    stirring, shelf = Stirring(), list[str]()
    waiting = asyncio.create_task(stirring.until(lambda: len(shelf) == 2))

    for book in ("one", "two"):
        await asyncio.sleep(0)
        assert not waiting.done()
        shelf.append(book)
        stirring.stir()

    await waiting


async def test_waiters_that_look_in_vain_do_not_wake_each_other() -> None:
    stirring, looks = Stirring(), list[int]()

    def look(who: int) -> bool:
        looks.append(who)
        return False

    waiting = [asyncio.create_task(stirring.until(partial(look, who))) for who in (1, 2)]
    await asyncio.sleep(0)
    stirring.stir()
    for _ in range(10):
        await asyncio.sleep(0)

    assert sorted(looks) == [1, 1, 2, 2]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
