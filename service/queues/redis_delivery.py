"""Takes the outcomes of one line to Redis: at once where somebody waits, in larger parts where nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from service.core.events import JobItemsDone
from service.core.messages import Answer, Priority
from service.queues.completion import Call, Finished, completions
from service.queues.redis_link import Away, Rejected
from service.queues.redis_site import Post

#: How long outcomes of bulk work are gathered, in seconds: each time Redis is told of some, everybody else waits until
#: they are on its disk.
_GATHER_S = 0.02
#: Most of them that Redis is told of at once: meanwhile it does nothing else, and nor does the event loop before.
_MOST = 32


class Delivery:
    """`stir` is called whenever leases have ended."""

    def __init__(self, post: Post, stir: Callable[[], None]) -> None:
        self._post = post
        self._site = post.site
        self._stir = stir
        self._bulk: list[tuple[Finished, float]] = []  #: with what an item took, in ms
        self._gathering: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self, finished: Sequence[Finished], ms_per_item: float) -> None:
        """Hand outcomes to Redis, now or soon, or as soon as it is back."""
        for priority in Priority:
            group = [(held, outcome) for held, outcome in finished if held.priority is priority]
            if group and priority is Priority.BULK:
                self._bulk += [(each, ms_per_item) for each in group]
            elif group:
                self._start(self._complete(priority, group, ms_per_item))
        if self._bulk and (self._gathering is None or self._gathering.done()):
            self._gathering = self._start(self._gather())

    async def delivered(self) -> None:
        """Wait until Redis has every outcome, or has been away for too long."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def end(self) -> None:
        """Likewise, but give up on a Redis that is lost: the leases end by themselves then."""
        lost = asyncio.create_task(self._site.commands.lost(self._site.times.leave_s))
        rest = {asyncio.create_task(self.delivered()), lost}
        await asyncio.wait(rest, return_when=asyncio.FIRST_COMPLETED)
        rest |= self._tasks
        for task in rest:
            task.cancel()
        await asyncio.wait(rest)

    def _start(self, delivering: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(delivering)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _gather(self) -> None:
        while self._bulk:
            await asyncio.sleep(_GATHER_S)
            gathered, self._bulk = self._bulk, []
            for first in range(0, len(gathered), _MOST):
                part = gathered[first : first + _MOST]
                took_ms = [ms for _, ms in part if ms]
                mean_ms = sum(took_ms) / len(took_ms) if took_ms else 0.0
                await self._complete(Priority.BULK, [finished for finished, _ in part], mean_ms)

    async def _complete(self, priority: Priority, finished: Sequence[Finished], ms_per_item: float) -> None:
        """Computed answers outlive an absence of Redis for a while: computing them again would cost more."""
        try:
            async with asyncio.timeout(self._site.times.keep_answers_s):
                for call in completions(self._post, priority, finished, ms_per_item):
                    await self._carry_out(call)
                self._tell(finished)
        except TimeoutError:
            return  # the leases end, and another worker computes these again
        finally:
            self._post.shelf.drop(held for held, _ in finished)
            self._stir()

    def _tell(self, finished: Sequence[Finished]) -> None:
        """State how many items of jobs have their results."""
        items = [outcome for held, outcome in finished if held.work.place is not None and outcome is not None]
        if items:
            succeeded = sum(isinstance(outcome, Answer) for outcome in items)
            self._site.emit(JobItemsDone(self._post.model, succeeded, len(items) - succeeded))

    async def _carry_out(self, call: Call) -> None:
        while True:
            try:
                await self._site.commands.run(call.script, call.keys, *call.args)
            except Away:
                await self._site.commands.up()
            except Rejected:
                await asyncio.sleep(self._site.times.beat_s)
            else:
                return
