"""A job is handed in and computed while everybody who has a part in it is killed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.client import AsyncClient, Options
from service.client.jobs import JobEvent
from service.core.jobs import ItemResult, JobState, Order
from service.core.messages import Answer
from tests.chaos.scenario import Recovery, scenario
from tests.chaos.site import KEYS, Plan, Site, pixels_of
from tests.contract.benches import until
from tests.guide import convolved, png
from tests.integration.distributed.deployment import Started

ITEMS = 100_000
BLOWS = 30
_SEED = 3
#: How long nothing may happen at all: front-ends, workers and Redis may be starting, all at once, on few cores.
_STANDSTILL_S = 120.0


@dataclass
class _Progress:
    """What one watcher has been told, through whichever front-end."""

    items: int
    accepted: int = 0
    finished: int = 0
    heard: list[float] = field(default_factory=list)  #: when results came

    @property
    def share(self) -> float:
        """How far it is, 0..1; handing in is one half of it, computing the other."""
        return (self.accepted + self.finished) / (2 * self.items)

    def silence_s(self, since: Sequence[float]) -> float:
        """The longest time from one of these moments to the next result."""
        return max(min((at for at in self.heard if at > moment), default=moment) - moment for moment in since)


class _Job:
    """One job of a folder of pictures: the command that hands it in, and a client that watches."""

    def __init__(self, site: Site, folder: Path, items: int) -> None:
        self.site = site
        self.progress = _Progress(items)
        self._folder = folder
        # As a name that stands for several addresses: who loses one front-end finds the other.
        self._addresses = [front_end.address("gRPC") for front_end in site.front_ends]
        self._client = AsyncClient(f"ipv4:{','.join(self._addresses)}")
        self._submitter: Started | None = None
        self.id = ""

    async def open(self) -> None:
        """Open it, and begin to hand it in."""
        self.site.clients.append(self._client)
        job = await self._client.jobs.open(Order("guide", options=Options(logits=True), sources=(str(self._folder),)))
        self.id = job.id
        self._resume()

    def _resume(self) -> None:
        servers = ("--server", f"ipv4:{','.join(self._addresses)}")
        self._submitter = self.site.deployment.command("jobs", "submit", *servers, "--resume", self.id)

    async def follow(self) -> None:
        """Write down what is accepted and what comes of it, until the end."""
        async for event in self._client.jobs.watch(self.id):
            self._note(event)
        assert event.job.state is JobState.DONE
        assert (event.job.succeeded, event.job.failed) == (self.progress.items, 0), event.job

    def _note(self, event: JobEvent) -> None:
        ledger, known = self.site.ledger, self.progress
        assert event.job.items >= known.accepted, f"of {known.accepted} accepted items {event.job.items} are left"
        if event.job.items > known.accepted:
            ledger.asked(f"{self.id}/{n}" for n in range(known.accepted, event.job.items))
        for outcome, results in _by_outcome(event.results).items():
            ledger.told((f"{self.id}/{result.index}" for result in results), outcome)
        known.accepted, known.finished = event.job.items, known.finished + len(event.results)
        if event.results:
            known.heard.append(time.monotonic())

    # Whom it may hit

    async def submitter(self, _: random.Random) -> None:
        """The command that hands in; another one goes on where it was."""
        assert self._submitter is not None
        if self._submitter.process.poll() is None:
            self._submitter.process.kill()
            self._resume()

    async def front_end(self, chosen: random.Random) -> None:
        """One of two; it is started again at the same address."""
        at = chosen.randrange(len(self._addresses))
        self.site.front_ends[at].process.kill()
        self.site.front_ends[at].process.wait()
        self.site.front_ends[at] = self.site.deployment.front_end(GRPC=self._addresses[at])

    async def child(self, chosen: random.Random) -> None:
        """A process that computes; its supervisor starts another one."""
        if child := chosen.choice(self.site.living).child():
            child.kill()

    async def worker(self, chosen: random.Random) -> None:
        """A worker with its supervisor; another worker comes."""
        doomed = chosen.choice(self.site.living)
        doomed.process.kill()
        doomed.process.wait()
        self.site.hire()

    async def redis(self, _: random.Random) -> None:
        """Redis; it is started again with what it had written."""
        self.site.redis.kill()
        await asyncio.to_thread(self.site.redis.start)

    @property
    def victims(self) -> Sequence[Callable[[random.Random], Awaitable[None]]]:
        """All of them."""
        return self.submitter, self.front_end, self.child, self.worker, self.redis

    async def rest(self) -> None:
        """Nothing is left but results: the command is content, and no input is kept."""
        assert self._submitter is not None
        assert await asyncio.to_thread(self._submitter.process.wait, 60) == 0, self._submitter.log
        with self.site.redis.client() as client:
            assert not client.exists(KEYS.job(self.id).inputs)
            assert not client.hexists(KEYS.jobs[1], self.id)


def _by_outcome(results: Sequence[ItemResult]) -> dict[str, list[ItemResult]]:
    sorted_: dict[str, list[ItemResult]] = {}
    for result in results:
        sorted_.setdefault(_outcome(result), []).append(result)
    return sorted_


def _outcome(result: ItemResult) -> str:
    if not isinstance(result.outcome, Answer):
        return type(result.outcome).__name__
    number = int(Path(result.name).stem)
    right = number == result.index and result.outcome.logits == convolved(pixels_of(number))
    return "right" if right else "wrong"


def _pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:06}.png").write_bytes(png(pixels_of(number)))
    return folder


async def killing(site: Site, items: int, blows: int) -> Recovery:
    """Hand in a job of so many pictures, and kill somebody so many times between its first and its last one."""
    chosen = random.Random(_SEED)
    job = _Job(site, await asyncio.to_thread(_pictures, site.deployment.folder / "pictures", items), items)
    await job.open()
    following = asyncio.create_task(job.follow())
    site.tasks.append(following)
    struck = []
    for point in sorted(chosen.random() for _ in range(blows)):
        await _until_share(job, point, following)
        if following.done():
            break
        await chosen.choice(job.victims)(chosen)
        struck.append(time.monotonic())
    await following
    await job.rest()
    return job.progress.silence_s(struck)


async def _until_share(job: _Job, share: float, following: asyncio.Task[None]) -> None:
    await until(lambda: job.progress.share >= share or following.done(), _STANDSTILL_S)


@scenario(Plan(front_ends=2, durable=True, takes_s=0.0, batch=32))
async def a_job_while_everybody_is_killed(site: Site) -> Recovery:
    """100,000 pictures, handed in by `vitrine jobs submit` while everybody is killed, thirty times and by lot.

    It hits that command (another one goes on with `--resume`), a front-end, a child, a worker with its supervisor, or
    Redis (`appendfsync always`). Recovery is the longest silence that followed, starts of processes included.
    """
    return await killing(site, ITEMS, BLOWS)
