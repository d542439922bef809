"""Keeps one line's place: says that the worker lives, renews its leases, and frees what the dead have left."""

from __future__ import annotations

import asyncio
import math
import re

from service.core.messages import Priority
from service.queues import announcement, scripts
from service.queues.keys import GROUP, KEY_TTL_MS
from service.queues.leases import Held
from service.queues.redis_link import Away, Rejected
from service.queues.redis_mending import mend
from service.queues.redis_site import Post
from service.queues.stirring import Stirring

_LOOK_AT = 64
_SWEEP_S = 10.0
_UPTIME = re.compile(rb"uptime_in_seconds:(\d+)")


class Keeper:
    """`announced` is set once the model version may be asked for; `released` counts what waits to be claimed.

    `foreign` are entries of another schema, which this worker leaves alone; who waits for something to claim is woken
    by `stirring`.
    """

    def __init__(self, post: Post, stirring: Stirring) -> None:
        self._post = post
        self._site = post.site
        self._times = post.site.times
        self._stirring = stirring
        self._about = announcement.write(post.engine)
        self._about_there = False
        self._mended = False
        self._beat_due_s = -math.inf
        self._sweep_due_s = -math.inf
        self._quiet_until_s = -math.inf
        self._retired = False
        self.announced = asyncio.Event()
        self.progress_s = self._site.now()
        self.released = 0
        self.foreign: set[bytes] = set()

    async def run(self) -> None:
        """Keep it for ever, whatever happens to Redis."""
        while True:
            try:
                await self._hush()
                while True:
                    await self._tick()
                    await asyncio.sleep(self._times.tick_s)
            except Rejected as error:
                await self.heal(error)
            except Away:
                await self._site.commands.up()
                self._beat_due_s = -math.inf
                self._mended = False
                self._hold_still(self._times.life_s)  # until the others are back, too

    async def heal(self, error: Rejected) -> bool:
        """After an error of Redis: make groups again that are gone. False when there is nothing to be had any more."""
        gone = error.kind == "NOGROUP"
        if gone and self._retired:
            return False
        self._beat_due_s = -math.inf  # a beat makes the groups
        await asyncio.sleep(self._times.tick_s if gone else self._times.beat_s)
        return True

    async def retire(self) -> int:
        """Serve this model version no more; how many other workers live on (1 if Redis does not say)."""
        self._retired = True
        keys = self._post.keys
        try:
            others = await self._site.commands.run(
                scripts.RETIRE,
                [keys.workers, keys.lanes, keys.line, self._site.keys.models],
                self._post.consumer,
                str(self._post.model),
            )
        except (Away, Rejected):
            return 1
        return int(others)

    async def _hush(self) -> None:
        """After a restart of Redis everybody's beat has expired, which does not mean that anybody has died."""
        uptime = _UPTIME.search(await self._site.commands.send("INFO", "server"))
        up_s = int(uptime[1]) if uptime else 0
        self._hold_still(self._times.life_s + self._times.beat_s - up_s)

    def _hold_still(self, for_s: float) -> None:
        self._quiet_until_s = max(self._quiet_until_s, self._site.now() + for_s)

    async def _tick(self) -> None:
        now = self._site.now()
        if now >= self._beat_due_s and not self._retired:
            await self._beat()
            self._beat_due_s = now + self._times.beat_s
            if not self._mended:
                await mend(self._site.commands, self._site.keys, self._post.model)
                self._mended = True
        for priority in Priority:
            await self._renew(priority)
        await self._reap()
        if now >= self._sweep_due_s:
            for stream in self._post.keys.streams:
                await self._site.commands.run(scripts.DELCONSUMER, [stream, self._post.keys.workers], GROUP)
            self._sweep_due_s = now + _SWEEP_S

    async def _beat(self) -> None:
        keys, asked_s = self._post.keys, self._site.now()
        server_ms, last, about_there = await self._site.commands.run(
            scripts.BEAT,
            [keys.workers, keys.lanes, keys.line, self._site.keys.models, keys.about, *keys.streams],
            self._post.consumer,
            self._post.lanes,
            int(self._times.life_s * 1000),
            KEY_TTL_MS,
            str(self._post.model),
            GROUP,
            b"" if self._about_there else self._about,
        )
        self._site.clock.observe(asked_s, int(server_ms), self._site.now())
        self._about_there = bool(about_there)
        if not float(last):
            self._mended = False  # Redis did not know of these lanes, so that jobs have released nothing for them
        unheard_s = int(server_ms) / 1000 - (float(last) / 1000 - self._times.life_s)
        if float(last) and unheard_s > 2 * self._times.beat_s:
            # Redis stood still, or its clock was stepped, or we stood still: others only look dead, until they have
            # beaten again and, where even we would have looked dead, have renewed every lease.
            self._hold_still((2 if unheard_s > self._times.life_s else 1) * self._times.life_s)
        self.announced.set()

    async def _renew(self, priority: Priority) -> None:
        now = self._site.now()
        lease_s = self._times.life_s if self._retired else self._times.lease_s
        held = self._post.shelf.of(priority, now, self._times.tick_s)
        if not held:
            return
        working = now - self.progress_s < self._times.stall_s
        due: list[Held] = []
        rest: list[Held] = []
        for h in held:
            (due if working and now - h.renewed_s > lease_s / 3 else rest).append(h)
        lost, gone = await self._site.commands.run(
            scripts.RENEW,
            [self._post.keys.stream(priority)],
            GROUP,
            self._post.consumer,
            len(due),
            *(h.work.entry for h in (*due, *rest)),
        )
        for h in held:
            h.lost = h.work.entry in lost
            h.lease.gone = h.lost or h.work.entry in gone
        for h in due:
            h.renewed_s = now

    async def _reap(self) -> None:
        still = self._retired or self._site.now() < self._quiet_until_s
        looked_for = set(self.foreign)
        looks = [
            self._site.commands.run(
                scripts.REAP,
                [stream, self._post.keys.workers],
                GROUP,
                self._post.consumer,
                int(self._times.life_s * 1000),
                -1 if still else int(1.5 * self._times.beat_s * 1000),
                int((self._times.life_s - self._times.beat_s) * 1000),
                int(self._times.lease_s * 1000),
                _LOOK_AT,
                *looked_for,
            )
            for stream in self._post.keys.streams
        ]
        found = await asyncio.gather(*looks)
        seen = {entry for _, _, foreign in found for entry in foreign}
        self.foreign -= looked_for - seen
        self.released = sum(waiting for waiting, _, _ in found)
        if self.released:
            self._stirring.stir()
