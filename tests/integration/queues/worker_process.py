"""A worker process for crash tests: a picture that begins with "die" kills it, one with "slow" takes a minute."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from service.core.messages import Lease, Outcome
from service.queues.keys import Keys
from service.queues.leases import WorkerTimes
from service.queues.redis_url import parse
from service.queues.redis_work import RedisWork
from tests.contract.benches import MODEL, answer
from tests.engines import FakeEngine, tuned


def _note(ledger: Path, leases: list[Lease]) -> None:
    with ledger.open("a") as file:
        file.write(json.dumps([lease.request.id for lease in leases]) + "\n")
        file.flush()
        os.fsync(file.fileno())


async def _lane(work: RedisWork, ledger: Path, batch: int) -> None:
    while leases := list(await work.lease(MODEL, lambda waiting: min(waiting, batch))):
        _note(ledger, leases)
        if any(bytes(lease.request.image).startswith(b"slow") for lease in leases):
            await asyncio.sleep(60)
        if any(bytes(lease.request.image).startswith(b"die") for lease in leases):
            os.kill(os.getpid(), signal.SIGSEGV)
        await asyncio.sleep(0.002)
        outcomes: list[tuple[Lease, Outcome]] = [(lease, answer(lease)) for lease in leases]
        work.settle(outcomes)


async def _main(options: dict[str, Any]) -> None:
    keys = Keys(options["prefix"])
    server = parse(options["url"], keys.tag)
    engine = FakeEngine(tuning=tuned(lanes=2, batch=options["batch"]))
    async with RedisWork(server, lambda _: None, worker=options["worker"], keys=keys, times=WorkerTimes()) as work:
        work.open(MODEL, engine)
        await work.announced(MODEL)
        print("announced", flush=True)  # noqa: T201 - the test waits for it
        ledger = Path(options["ledger"])
        await asyncio.gather(*(_lane(work, ledger, options["batch"]) for _ in range(2)))


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
