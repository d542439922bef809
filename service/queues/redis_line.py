"""One model version on one worker: hands leases to lanes and their outcomes to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from service.core.admission import computed
from service.core.errors import Cancelled, ServiceError
from service.core.events import Buried, Dropped, Redelivered
from service.core.messages import Lease, Outcome, Priority
from service.core.turns import ONLINE
from service.queues import scripts
from service.queues.completion import burial
from service.queues.envelope import read_work
from service.queues.keys import GROUP
from service.queues.leases import Held
from service.queues.redis_delivery import Delivery
from service.queues.redis_fetcher import Fetcher
from service.queues.redis_keeper import Keeper
from service.queues.redis_link import Away, Rejected
from service.queues.redis_site import Post
from service.queues.redis_supply import Supply
from service.queues.stirring import Stirring


class Line:
    """Leases of one model version."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._site = post.site
        self._stirring = Stirring()
        self._idle = 0  #: lanes that wait
        self._bulk = 0  #: leases of bulk work in the hands of lanes, which will be idle soon
        self._keeper = Keeper(post, self._stirring)
        self._supply = Supply(post, self._failed, self._stirring.stir)
        self._delivery = Delivery(post, self._stirring.stir)
        fetcher = partial(Fetcher, post, keeper=self._keeper, supply=self._supply, stirring=self._stirring)
        self._fetcher = fetcher(tuple(Priority), free=lambda: self._idle)
        # While lanes work on bulk, whoever asks online is not to wait until more work of any kind is wanted.
        self._urgent = fetcher(ONLINE, free=lambda: int(self._bulk > 0 and not self._idle))
        self._drained = False
        self._keeping = asyncio.create_task(self._keeper.run(), name=f"leases of {post.model}")
        self._fetching = asyncio.create_task(self._fetch(), name=f"work of {post.model}")
        self._closing: asyncio.Task[None] | None = None
        self.error: BaseException | None = None  #: what ended the keeping or the fetching, which nothing should
        for task in (self._keeping, self._fetching):
            task.add_done_callback(self._ended)

    async def announced(self) -> None:
        """Wait until the model version may be asked for."""
        await self._keeper.announced.wait()
        self._check()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.error = error
            self._keeper.announced.set()
            self._stirring.stir()

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Take no more; once everything that is leased is settled, disappear."""
        self._stop()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name=f"closing {self._post.model}")

    async def _close(self) -> None:
        await self._stopped()
        await asyncio.wait([self._fetching])
        await self._stirring.until(lambda: not self._post.shelf.held)
        await self._leave()

    async def end(self) -> None:
        """The lanes have ended: wait until Redis has every outcome, and give back what has none.

        A Redis that stays away gets neither: then the leases end by themselves.
        """
        if self._closing is not None:
            self._closing.cancel()
            await asyncio.wait([self._closing])
        self._stop()
        await self._stopped()
        await self._delivery.end()
        await self._leave()

    async def delivered(self) -> None:
        """Wait until Redis has every outcome, or has been away for too long."""
        await self._delivery.delivered()

    def _stop(self) -> None:
        for fetcher in (self._fetcher, self._urgent):
            fetcher.stop()

    async def _stopped(self) -> None:
        await asyncio.gather(self._fetcher.stopped(), self._urgent.stopped())

    async def _leave(self) -> None:
        await self._supply.stop()
        self._keeping.cancel()
        self._fetching.cancel()
        await asyncio.wait([self._keeping, self._fetching])
        await self._keeper.retire()
        commands, keys = self._site.commands, self._post.keys
        for stream in keys.streams:
            release = commands.run(scripts.RELEASE, [stream], GROUP, self._post.consumer, 1)
            sweep = commands.run(scripts.DELCONSUMER, [stream, keys.workers], GROUP)
            await asyncio.gather(release, sweep, return_exceptions=True)  # what Redis does not hear, others reap

    # Fetching

    async def _fetch(self) -> None:
        """Read until it is closed, then what is left if no other worker is there to take it."""
        async with self._fetcher, self._urgent:
            await self._keeper.announced.wait()
            async with asyncio.TaskGroup() as fetching:
                fetching.create_task(self._fetcher.run())
                fetching.create_task(self._urgent.run())
            if not await self._keeper.retire():
                await self._work_off()
        self._drained = True
        self._stirring.stir()

    async def _work_off(self) -> None:
        while True:
            await self._stirring.until(lambda: self._fetcher.hungry)
            if not (await self._fetcher.rest() or self._keeper.released or self._post.shelf.waiting):
                return

    # Leasing

    async def lease(self, limit: Callable[[int], int]) -> Sequence[Lease]:
        """Wait for work; see `Work.lease`."""
        while True:
            self._check()
            if self._keeper.released and (claimed := await self._claim()):
                return claimed
            await self._site.gate.passable()
            if leases := self._take(limit):
                return leases
            if self._drained:
                return ()
            if not self._post.shelf.waiting:
                await self._wait()

    async def _wait(self) -> None:
        """Until there is something for a lane: each of them that looked in vain would call the others for ever."""
        self._idle += 1
        self._stirring.stir()
        try:
            await self._stirring.until(
                lambda: self._post.shelf.waiting or self._keeper.released or self._drained or self.error
            )
        finally:
            self._idle -= 1

    def _take(self, limit: Callable[[int], int]) -> list[Lease]:
        taken = self._post.shelf.take(limit, self._site.now())
        leases = self._start(taken)
        if taken:
            self._stirring.stir()
        return leases

    def _start(self, taken: Sequence[Held]) -> list[Lease]:
        """Sort out what nobody needs any more; the rest goes to a lane."""
        now = self._site.now()
        void = [held for held in taken if self._void(held, now)]
        fresh = [held for held in taken if held not in void]
        self._delivery.deliver([(held, None) for held in void if not held.lost], 0.0)
        self._post.shelf.drop(held for held in void if held.lost)
        self._site.gate.start(fresh, now)
        self._bulk += sum(held.priority is Priority.BULK for held in fresh)
        return [held.lease for held in fresh]

    def _void(self, held: Held, now: float) -> bool:
        late = held.lease.request.late(now)
        if (late or held.lease.gone) and not held.lost:
            self._site.emit(Dropped(self._post.model, "lease", expired=late))
        return late or held.lease.gone or held.lost

    @property
    def held(self) -> int:
        """Leases that are not settled."""
        return len(self._post.shelf.held)

    # What the dead have left

    async def _claim(self) -> list[Lease]:
        """Some released leases that never ran, or one suspect, which runs alone. Waits until nothing else runs."""
        gate = self._site.gate
        await gate.close()
        leases: list[Lease] = []
        try:
            leases = self._start(await self._claimed())
        finally:
            if not any(_held(lease).alone for lease in leases):
                gate.reopen()
        return leases

    async def _claimed(self) -> list[Held]:
        try:
            for priority in Priority:
                if helds := await self._claim_from(priority):
                    return helds
        except Rejected as error:
            await self._keeper.heal(error)
        except Away:
            await self._site.commands.up()
        self._keeper.released = 0  # until the next look
        return []

    async def _claim_from(self, priority: Priority) -> list[Held]:
        foreign = self._keeper.foreign
        stream = self._post.keys.stream(priority)
        claimed = await self._site.commands.run(
            scripts.CLAIM, [stream], GROUP, self._post.consumer, self._post.batch, *foreign
        )
        helds = []
        for entry, deaths, fields in claimed:
            work = read_work(entry, fields)
            if work is None:
                foreign.add(entry)
                continue
            held, item = await self._supply.take(work, priority)
            held.alone = deaths > 0
            self._site.emit(Redelivered(self._post.model, deaths))
            if deaths >= self._site.times.max_deaths:
                await self._bury(held, deaths)
            elif await self._supply.fill(held, item):
                helds.append(held)
        return helds

    async def _bury(self, held: Held, deaths: int) -> None:
        call = burial(self._post, held, deaths)
        await self._site.commands.run(call.script, call.keys, *call.args)
        self._site.emit(Buried(self._post.model))
        self._post.shelf.drop([held])

    # Outcomes

    def settle(self, outcomes: Sequence[tuple[Lease, Outcome]]) -> None:
        """Hand outcomes to Redis, at once or as soon as it is back."""
        now = self._site.now()
        finished = [(_held(lease), outcome) for lease, outcome in outcomes]
        helds = [held for held, _ in finished]
        self._site.gate.end(helds)
        self._bulk -= sum(held.priority is Priority.BULK for held in helds)
        self._keeper.progress_s = now
        ours = [(h, o) for h, o in finished if not (h.lost and isinstance(o, Cancelled))]
        self._post.shelf.drop(held for held in helds if held.lost)
        items, took_s = computed(outcome for _, outcome in outcomes), now - helds[0].started_s
        self._post.shelf.pace.served(items, took_s)
        self._delivery.deliver(ours, self._post.lane_s(took_s) * 1000 / items if items else 0)

    def _failed(self, held: Held, error: ServiceError) -> None:
        """An item of a job has no picture."""
        self._keeper.progress_s = self._site.now()
        self._delivery.deliver([(held, error)], 0.0)


def _held(lease: Lease) -> Held:
    assert isinstance(lease.token, Held)
    return lease.token
