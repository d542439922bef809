"""Front-ends, workers and lanes for tests that break things between them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from service.core.admission import QueueLimits
from service.core.events import Event
from service.core.messages import Answer, Outcome
from service.queues.keys import Keys
from service.queues.leases import WorkerTimes
from service.queues.redis_submissions import FrontEndTimes, RedisSubmissions
from service.queues.redis_url import Server, parse
from service.queues.redis_work import RedisWork
from tests.contract.benches import ENGINE, MODEL, answer, request, until
from tests.servers import RedisServer

KEYS = Keys("test")
LIMITS = QueueLimits(max_entries=10_000, max_bytes=10**9)


def address(server: RedisServer | str) -> Server:
    """As the queue wants it."""
    return parse(server if isinstance(server, str) else server.url, KEYS.tag)


@dataclass
class Lanes:
    """Lanes on one worker that note what they compute."""

    work: RedisWork
    computes_s: float = 0.002
    computed: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """Two lanes, until the line is drained."""
        await asyncio.gather(self._lane(), self._lane())

    async def _lane(self) -> None:
        while leases := await self.work.lease(MODEL, lambda waiting: min(waiting, 4)):
            self.computed.update(lease.request.id for lease in leases)
            await asyncio.sleep(self.computes_s)
            outcomes: list[tuple[object, Outcome]] = [(lease, answer(lease)) for lease in leases]
            self.work.settle(outcomes)  # type: ignore[arg-type]


@asynccontextmanager
async def working(
    server: RedisServer | str, times: WorkerTimes | None = None, computes_s: float = 0.002
) -> AsyncIterator[Lanes]:
    """A worker whose lanes run."""
    async with RedisWork(address(server), _ignore, keys=KEYS, times=times) as work:
        work.open(MODEL, ENGINE)
        lanes = Lanes(work, computes_s)
        running = asyncio.create_task(lanes.run())
        await asyncio.wait_for(work.announced(MODEL), 10)
        yield lanes
        work.close(MODEL)
        await asyncio.wait_for(running, 20)


@asynccontextmanager
async def asking(
    server: RedisServer | str, times: FrontEndTimes | None = None, limits: QueueLimits = LIMITS
) -> AsyncIterator[RedisSubmissions]:
    """A front-end."""
    async with RedisSubmissions(address(server), limits, _ignore, keys=KEYS, times=times) as front_end:
        yield front_end


def ask(front_end: RedisSubmissions, names: list[str], size: int = 100) -> list[asyncio.Task[Answer]]:
    """One request for each name, each in a task of its own."""
    return [asyncio.create_task(front_end.submit(request(name, size))) for name in names]


async def ids(tasks: list[asyncio.Task[Answer]], timeout_s: float = 30) -> list[str]:
    """Whom the answers belong to."""
    return [answer.id for answer in await asyncio.wait_for(asyncio.gather(*tasks), timeout_s)]


async def computing(count: int, tasks: list[asyncio.Task[Answer]], *lanes: Lanes) -> None:
    """Wait until so many have been computed, or something went wrong, which `ids` will tell."""
    await until(
        lambda: (
            sum(sum(one.computed.values()) for one in lanes) >= count
            or any(task.done() and task.exception() for task in tasks)
        )
    )


def residue(server: RedisServer) -> dict[str, object]:
    """What the streams and counters of `MODEL` hold beyond nothing."""
    keys = KEYS.of(MODEL)
    with server.client() as client:
        found: dict[str, object] = {"bytes": int(client.hget(keys.line, "bytes") or 0)}
        for stream in keys.streams:
            found[f"{stream} entries"] = client.xlen(stream)
            found[f"{stream} leases"] = client.xpending(stream, "w")["pending"] if client.exists(stream) else 0
    return {name: value for name, value in found.items() if value}


def _ignore(_: Event) -> None:
    pass


@dataclass
class WorkerProcess:
    """A worker in a process of its own; pictures tell it what to do, see worker_process.py."""

    server: RedisServer
    name: str
    ledger: Path
    batch: int = 4
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it has announced itself."""
        options = {
            "url": self.server.url,
            "prefix": KEYS.prefix,
            "worker": self.name,
            "ledger": str(self.ledger),
            "batch": self.batch,
        }
        root = Path(__file__).parents[3]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.queues.worker_process",
            json.dumps(options),
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 20)
        assert line == b"announced\n", line

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()

    async def ended(self) -> int:
        """Wait until it is gone; its return code."""
        assert self.process is not None
        return await self.process.wait()

    def runs(self) -> list[list[str]]:
        """The batches that it began, as lists of ids."""
        return [json.loads(line) for line in self.ledger.read_text().splitlines()] if self.ledger.exists() else []
