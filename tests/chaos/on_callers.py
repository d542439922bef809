"""Callers leave, or are too many."""

from __future__ import annotations

import asyncio
import random
import time

from tests.chaos.scenario import Recovery, scenario
from tests.chaos.site import Plan, Site
from tests.contract.benches import until


@scenario(Plan(takes_s=0.02))
async def callers_leave(site: Site) -> Recovery:
    """A thousand callers, most of whom hang up at random: the rest is answered, little is computed in vain."""
    asked = site.ask(1000)
    chosen = random.Random(1)
    await site.begun(20)
    leaving = chosen.sample(asked, 800)
    for task in leaving:
        task.cancel()
        if chosen.random() < 0.1:
            await asyncio.sleep(0.005)
    await until(lambda: site.entries() <= len(asked) - len(leaving))
    await site.told()
    in_vain = site.account().in_vain
    assert in_vain < 100, f"{in_vain} pictures were computed for nobody"
    return None


@scenario(Plan(workers=1, takes_s=0.04), sheds=True, breaks=("TooLate",))
async def three_times_too_much(site: Site) -> Recovery:
    """Three times what the worker can do, for 10 s, with 1 s of patience: at least 90 % of its peak is answered."""
    peak = await _peak(site, for_s=4.0)
    before, started, sent = site.account().answered, time.monotonic(), 0
    while (since_s := time.monotonic() - started) < 10.0:
        due = int(3 * peak * since_s) - sent
        site.ask(due, timeout_s=1.0)
        sent += due
        await asyncio.sleep(0.02)
    await site.told()
    goodput = (site.account().answered - before) / (time.monotonic() - started)
    assert goodput >= 0.9 * peak, f"{goodput:.0f} answers/s where {peak:.0f}/s are possible"
    return None


async def _peak(site: Site, for_s: float) -> float:
    """Answers per second with 64 callers who ask again and again."""
    started = time.monotonic()

    async def caller() -> None:
        while time.monotonic() - started < for_s:
            await site.ask(1)[0]

    before = site.account().answered
    await asyncio.gather(*(caller() for _ in range(64)))
    return (site.account().answered - before) / (time.monotonic() - started)
