"""The network between Redis and everybody else breaks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from service.client import AsyncClient, Retry
from tests.chaos.proxy import Proxy
from tests.chaos.scenario import ALONE_S, Recovery, scenario
from tests.chaos.site import Site
from tests.contract.benches import until


async def _proxied(site: Site, harm: Callable[[Proxy], Awaitable[None]]) -> Recovery:
    async with Proxy(site.redis.socket) as proxy:
        worker = site.deployment.worker(REDIS=proxy.url, TEST_COMPUTE_S="0.005")
        front_end = site.deployment.front_end(REDIS=proxy.url)
        site.workers.append(worker)
        site.front_ends.append(front_end)
        await site.ready(worker, front_end)
        site.clients.append(AsyncClient(front_end.address("gRPC"), retry=Retry(budget_s=0)))
        await site.admitted(300, front_end=len(site.clients) - 1)
        await site.begun(40)
        site.let_go()
        await harm(proxy)
        healed = time.monotonic()
        await site.told()
        return time.monotonic() - healed


@scenario(limit_s=ALONE_S)
async def the_network_resets(site: Site) -> Recovery:
    """RST on every connection of a front-end and a worker, ten times."""

    async def harm(proxy: Proxy) -> None:
        for _ in range(10):
            proxy.reset()
            await asyncio.sleep(0.1)

    return await _proxied(site, harm)


@scenario(limit_s=ALONE_S)
async def the_network_swallows(site: Site) -> Recovery:
    """For 8 s nothing passes, and no connection is closed; what was held up arrives late."""

    async def harm(proxy: Proxy) -> None:
        proxy.swallow()
        await asyncio.sleep(8)
        proxy.pass_on()

    return await _proxied(site, harm)


@scenario(limit_s=ALONE_S)
async def replies_are_cut(site: Site) -> Recovery:
    """Twenty replies of Redis, to submissions, reads and completions, end in the middle."""

    async def harm(proxy: Proxy) -> None:
        proxy.cut(20)
        await until(lambda: proxy.cuts_left == 0, 60)

    return await _proxied(site, harm)


@scenario(limit_s=ALONE_S)
async def the_network_is_slow(site: Site) -> Recovery:
    """Each piece takes 200 ms, in both directions, for 5 s: nobody looks dead, and nothing is taken from anybody."""

    async def harm(proxy: Proxy) -> None:
        proxy.delay_s = 0.2
        await asyncio.sleep(5)
        proxy.delay_s = 0.0

    recovered = await _proxied(site, harm)
    assert site.account().in_vain == 0, "leases were taken from the living"
    return recovered
