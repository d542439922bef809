"""One deployment under fire, and callers that keep a ledger of it."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from service.client import AsyncClient, Options, Retry
from service.core.errors import ServiceError
from service.core.messages import ModelKey, Priority
from service.queues.keys import GROUP, Keys
from service.rpc.pb.vitrine.internal import queue_pb2
from tests.chaos.checker import Account, account
from tests.chaos.ledger import Ledger, lines
from tests.contract.benches import until
from tests.guide import convolved, png
from tests.integration.distributed.deployment import Deployment, Started, WorkerStarted
from tests.integration.distributed.deployment import until as patient
from tests.servers import RedisServer

KEYS, MODEL = Keys(), ModelKey("guide", 1)
LINE = KEYS.of(MODEL)
STREAM = LINE.stream(Priority.NORMAL)
TRAPS = Path(__file__).parent / "traps"
DEADLY = 254
_ONCE = Retry(budget_s=0)
_START_S = 120.0


def pixels_of(number: int) -> bytes:
    """Nine that are the caller's own, none of them deadly."""
    chosen = random.Random(number)
    return bytes(chosen.randrange(DEADLY) for _ in range(9))


@dataclass
class Site:
    """Front-ends, workers, Redis, and the ledger of those who ask."""

    deployment: Deployment
    ledger: Ledger
    plan: Plan
    front_ends: list[Started] = field(default_factory=list)
    workers: list[WorkerStarted] = field(default_factory=list)
    clients: list[AsyncClient] = field(default_factory=list)
    numbers: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def redis(self) -> RedisServer:
        """The one server."""
        return self.deployment.redis

    def begin(self, name: str) -> None:
        """A ledger of its own for what comes now."""
        self.let_go()
        self.ledger.close()
        self.ledger = Ledger(self.deployment.folder / f"{name}.ledger")
        self.tasks = []

    def hire(self) -> None:
        """Start one more worker."""
        plan = self.plan
        takes, lanes, batch = str(plan.takes_s), str(plan.lanes), str(plan.batch)
        self.workers.append(self.deployment.worker(TEST_COMPUTE_S=takes, LANES=lanes, BATCH=batch))

    @property
    def living(self) -> list[WorkerStarted]:
        """Workers whose supervisors live."""
        return [worker for worker in self.workers if worker.process.poll() is None]

    async def ready(self, *started: Started) -> None:
        """Wait until all of them are, for long: how quickly processes start is no matter of this suite."""
        for each in started:
            await asyncio.to_thread(_wait, each)

    # Asking

    def ask(
        self, count: int, *, timeout_s: float = 60.0, padding: int = 0, front_end: int = 0, deadly: bool = False
    ) -> list[asyncio.Task[None]]:
        """So many pictures at once, each by a caller of its own, with `timeout_s` seconds of patience."""
        numbers = range(self.numbers, self.numbers + count)
        self.numbers += count
        self.ledger.asked(str(number) for number in numbers)
        asked = [
            asyncio.create_task(self._ask(number, timeout_s, padding, self.clients[front_end], deadly=deadly))
            for number in numbers
        ]
        self.tasks += asked
        return asked

    async def admitted(self, count: int, *, front_end: int = 0) -> None:
        """Ask, and have nothing computed, until Redis has all of it: then whatever breaks, it was accepted."""
        self.hold()
        asked = self.ask(count, front_end=front_end)
        await until(lambda: self.entries() >= count or any(task.done() for task in asked), 60)

    def hold(self) -> None:
        """Have nothing computed."""
        for worker in self.workers:
            worker.hold.write_text("")

    def let_go(self) -> None:
        """Have everything computed."""
        for worker in self.workers:
            worker.hold.unlink(missing_ok=True)

    def entries(self) -> int:
        """What is admitted and not finished."""
        with self.redis.client() as client:
            return sum(int(client.xlen(stream)) for stream in LINE.streams)

    async def _ask(self, number: int, timeout_s: float, padding: int, client: AsyncClient, *, deadly: bool) -> None:
        pixels = bytes([DEADLY] * 9) if deadly else pixels_of(number)
        name = str(number)
        try:
            answer = await client.classify(
                png(pixels, padding), model="guide", id=name, options=Options(logits=True), timeout_s=timeout_s
            )
        except ServiceError as error:
            self.ledger.told([name], type(error).__name__, str(error))
        except asyncio.CancelledError:
            self.ledger.told([name], "left")
            raise
        else:
            right = answer.id == name and answer.logits == convolved(pixels)
            self.ledger.told([name], "right" if right else "wrong")

    async def told(self) -> None:
        """Wait until every caller knows."""
        self.let_go()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def served(self) -> float:
        """Ask one at a time until one is answered; how long that took, in seconds."""
        self.let_go()
        started = time.monotonic()
        async with asyncio.timeout(60):
            while True:
                try:
                    await self.clients[0].classify(png(bytes(9)), model="guide", timeout_s=5)
                except ServiceError:
                    await asyncio.sleep(0.02)
                else:
                    return time.monotonic() - started

    # Looking in

    @property
    def run_ledgers(self) -> list[Path]:
        """What the workers wrote."""
        return [worker.folder / "runs" for worker in self.workers]

    def noted(self, kind: str) -> list[dict[str, Any]]:
        """What workers noted of one kind."""
        return [line for path in self.run_ledgers for line in lines(path, kind)]

    async def begun(self, count: int) -> None:
        """Wait until so many more pictures have been begun; no worker begins more before it is let go.

        So there is work left to be disturbed, however slowly this process runs beside the workers.
        """
        due = sum(map(_begun, self.workers)) + count
        for worker in self.living:
            worker.hold.write_text(str(_begun(worker) + count))
        await until(lambda: sum(map(_begun, self.workers)) >= due, 60)

    def held_by(self, worker: WorkerStarted) -> frozenset[str]:
        """The requests that a worker's child has leased, whatever it is called."""
        prefix = f"{socket.gethostname()}:{worker.process.pid}:".encode()
        with self.redis.client() as client:
            leases: Any = client.xpending_range(STREAM, GROUP, "-", "+", 999)
            entries = [lease["message_id"] for lease in leases if lease["consumer"].startswith(prefix)]
            found: list[Any] = [client.xrange(STREAM, entry, entry) for entry in entries]
        return frozenset(queue_pb2.Params.FromString(each[0][1][b"p"]).id for each in found if each)

    def residue(self) -> dict[str, Any]:
        """What Redis holds beyond nothing: entries, leases, bytes, and keys that nobody would ever remove (I6)."""
        with self.redis.client() as client:
            there: list[str] = [stream for stream in LINE.streams if client.exists(stream)]
            pending: list[Any] = [client.xpending(stream, GROUP) for stream in there]
            size: Any = client.hget(LINE.line, "bytes")
            found = {
                "entries": sum(int(client.xlen(stream)) for stream in there),
                "leases": sum(each["pending"] for each in pending),
                "bytes": int(size or 0),
                "immortal keys": [key for key in client.scan_iter() if client.pttl(key) == -1],
            }
        return {name: value for name, value in found.items() if value}

    async def at_rest(self) -> None:
        """Wait until nothing is left."""
        await until(lambda: not self.residue(), 40)

    def account(self) -> Account:
        """What the ledgers say."""
        return account(self.ledger.path, self.run_ledgers)

    # Breaking

    def kill_child(self, worker: WorkerStarted) -> None:
        """SIGKILL of the process that computes."""
        child = worker.child()
        assert child is not None
        child.kill()


def _begun(worker: WorkerStarted) -> int:
    return sum(len(line["ids"]) for line in lines(worker.folder / "runs", "run"))


def _wait(started: Started) -> None:
    patient(lambda: "HTTP" in started.said, _START_S)
    patient(lambda: _ready(started), _START_S)


def _ready(started: Started) -> bool:
    try:
        return started.ready()
    except httpx.TimeoutException:
        return False  # the supervisor holds the port of a child that is not there yet


@dataclass(frozen=True, slots=True)
class Plan:
    """What a scenario needs. `takes_s` is how long a batch takes, in seconds."""

    workers: int = 2
    front_ends: int = 1
    kind: str = "redis"
    durable: bool = False
    fsync: str = "always"
    options: tuple[str, ...] = ()
    takes_s: float = 0.005
    lanes: int = 2
    batch: int = 4
    environment: Callable[[Path], dict[str, str]] = lambda _: {}  #: of workers and front-ends, from the site's folder
    server_environment: Callable[[Path], dict[str, str]] = lambda _: {}


@asynccontextmanager
async def opened(plan: Plan, folder: Path) -> AsyncIterator[Site]:
    """A site that is ready; gone in the end."""
    redis = RedisServer(
        plan.kind,
        folder,
        durable=plan.durable,
        fsync=plan.fsync,
        options=plan.options,
        environment=plan.server_environment(folder),
    )
    redis.start()
    site = Site(Deployment(folder, redis, TRAPS, plan.environment(folder)), Ledger(folder / "ledger"), plan)
    try:
        for _ in range(plan.workers):
            site.hire()
        site.front_ends += [site.deployment.front_end() for _ in range(plan.front_ends)]
        await site.ready(*site.workers, *site.front_ends)
        for front_end in site.front_ends:
            site.clients.append(AsyncClient(front_end.address("gRPC"), retry=_ONCE))
        yield site
    finally:
        for task in site.tasks:
            task.cancel()
        for client in site.clients:
            await client.close()
        site.deployment.end()
        redis.stop()
        site.ledger.close()
