"""One model version on one worker: hands leases to lanes and their outcomes to Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from service.core.admission import computed
from service.core.errors import Cancelled, ServiceError
from service.core.events import Buried, Dropped, JobItemsDone, Redelivered
from service.core.messages import Answer, Lease, Outcome, Priority
from service.queues import scripts
from service.queues.completion import Call, Finished, burial, completions
from service.queues.envelope import read_work
from service.queues.keys import GROUP
from service.queues.leases import Held
from service.queues.redis_fetcher import Fetcher
from service.queues.redis_keeper import Keeper
from service.queues.redis_link import Away, Rejected
from service.queues.redis_site import Post
from service.queues.redis_supply import Supply


class Line:
    """Leases of one model version."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._site = post.site
        self._stirred = asyncio.Event()
        self._idle = 0
        self._keeper = Keeper(post, self._stirred)
        self._supply = Supply(post, self._failed, self._stir)
        self._fetcher = Fetcher(post, self._keeper, self._supply, self._stirred, lambda: self._idle)
        self._keeping = asyncio.create_task(self._keeper.run(), name=f"leases of {post.model}")
        self._fetching = asyncio.create_task(self._fetcher.run(), name=f"work of {post.model}")
        self._completions: set[asyncio.Task[None]] = set()
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
            self._stir()

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Take no more; once everything that is leased is settled, disappear."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name=f"closing {self._post.model}")

    async def _close(self) -> None:
        await self._fetcher.close()
        await asyncio.wait([self._fetching])
        while self._post.shelf.held:
            await self._stirred.wait()
        await self._leave()

    async def end(self) -> None:
        """The lanes have ended: wait until Redis has every outcome, and give back what has none.

        A Redis that stays away gets neither: then the leases end by themselves.
        """
        if self._closing is not None:
            self._closing.cancel()
            await asyncio.wait([self._closing])
        await self._fetcher.close()
        await self._deliver_rest()
        await self._leave()

    async def delivered(self) -> None:
        """Wait until Redis has every outcome, or has been away for too long."""
        if self._completions:
            await asyncio.wait(self._completions)

    async def _deliver_rest(self) -> None:
        rest = {
            asyncio.create_task(self.delivered()),
            asyncio.create_task(self._site.commands.lost(self._site.times.leave_s)),
        }
        await asyncio.wait(rest, return_when=asyncio.FIRST_COMPLETED)
        rest |= self._completions
        for task in rest:
            task.cancel()
        await asyncio.wait(rest)

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
            if self._fetcher.drained:
                return ()
            if not self._post.shelf.waiting:
                await self._wait()

    async def _wait(self) -> None:
        self._idle += 1
        self._stir()
        try:
            await self._stirred.wait()
        finally:
            self._idle -= 1

    def _take(self, limit: Callable[[int], int]) -> list[Lease]:
        taken = self._post.shelf.take(limit, self._site.now())
        if not taken:
            return []
        self._stir()
        return self._start(taken)

    def _start(self, taken: Sequence[Held]) -> list[Lease]:
        """Sort out what nobody needs any more; the rest goes to a lane."""
        now = self._site.now()
        void = [held for held in taken if self._void(held, now)]
        fresh = [held for held in taken if held not in void]
        self._deliver([(held, None) for held in void if not held.lost], 0.0)
        self._post.shelf.drop(held for held in void if held.lost)
        self._site.gate.start(fresh, now)
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
        self._keeper.progress_s = now
        ours = [(h, o) for h, o in finished if not (h.lost and isinstance(o, Cancelled))]
        self._post.shelf.drop(held for held in helds if held.lost)
        items, took_s = computed(outcome for _, outcome in outcomes), now - helds[0].started_s
        self._post.shelf.pace.served(items, took_s)
        self._deliver(ours, took_s * 1000 / items if items else 0)

    def _deliver(self, finished: Sequence[Finished], ms_per_item: float) -> None:
        for priority in Priority:
            group = [(held, outcome) for held, outcome in finished if held.priority is priority]
            if group:
                task = asyncio.create_task(self._complete(priority, group, ms_per_item))
                self._completions.add(task)
                task.add_done_callback(self._completions.discard)

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

    def _failed(self, held: Held, error: ServiceError) -> None:
        """An item of a job has no picture."""
        self._keeper.progress_s = self._site.now()
        self._deliver([(held, error)], 0.0)

    def _stir(self) -> None:
        self._stirred.set()
        self._stirred.clear()


def _held(lease: Lease) -> Held:
    assert isinstance(lease.token, Held)
    return lease.token
