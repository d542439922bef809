"""Workers and front-ends die, hang, and are of two versions."""

from __future__ import annotations

import asyncio
import signal
import time

from service.client import AsyncClient, Retry
from tests.chaos.checker import recovered_s
from tests.chaos.scenario import ALONE_S, SUPERVISED_S, Recovery, scenario
from tests.chaos.site import LINE, Plan, Site
from tests.contract.benches import until
from tests.integration.distributed.deployment import WorkerStarted


async def _dies_at(site: Site, point: str) -> Recovery:
    victim = site.workers[0]
    await site.admitted(300)
    await site.begun(40)
    (victim.folder / point).touch()
    victim.hold.unlink()
    await until(lambda: not (victim.folder / point).exists(), 30)
    await site.told()
    death = max((line for line in site.noted("death") if line["point"] == point), key=lambda line: line["at"])
    recovered = recovered_s(site.ledger.path, frozenset(death["ids"]), death["at"])
    await site.ready(victim)
    return recovered


@scenario(limit_s=SUPERVISED_S)
async def worker_dies_after_reading(site: Site) -> Recovery:
    """SIGKILL of a child between the delivery of a batch and its first computation."""
    return await _dies_at(site, "read")


@scenario(limit_s=SUPERVISED_S, quick=True)
async def worker_dies_while_computing(site: Site) -> Recovery:
    """SIGKILL of a child in the middle of a batch."""
    return await _dies_at(site, "run")


@scenario(limit_s=SUPERVISED_S)
async def worker_dies_before_its_answer_is_sent(site: Site) -> Recovery:
    """SIGKILL of a child that has computed a batch, and told nobody."""
    return await _dies_at(site, "sent")


@scenario(limit_s=SUPERVISED_S, quick=True)
async def worker_dies_after_its_answer_was_taken(site: Site) -> Recovery:
    """SIGKILL of a child whose batch Redis has just finished."""
    return await _dies_at(site, "applied")


@scenario(limit_s=ALONE_S)
async def worker_and_supervisor_die(site: Site) -> Recovery:
    """SIGKILL of both: nobody releases anything, the other worker notices by the silence."""
    await site.admitted(600)
    await site.begun(40)
    victim = site.workers[0]
    held = await _busy(site, victim)
    victim.process.kill()
    killed = time.monotonic()
    await site.told()
    return recovered_s(site.ledger.path, held, killed)


@scenario()
async def all_workers_die(site: Site) -> Recovery:
    """SIGKILL of every worker and supervisor at once; a new one is started."""
    await site.admitted(300)
    await site.begun(40)
    for worker in site.workers:
        worker.process.kill()
    site.hire()
    await site.ready(site.workers[-1])
    started = time.monotonic()
    await site.told()
    return time.monotonic() - started


@scenario(limit_s=ALONE_S)
async def worker_is_stopped_past_its_lease(site: Site) -> Recovery:
    """SIGSTOP of a supervisor and its child for longer than a lease, then SIGCONT: the late answers change nothing."""
    await site.admitted(400)
    await site.begun(40)
    victim = site.workers[0]
    held = await _busy(site, victim)
    _signal(victim, signal.SIGSTOP)
    stopped = time.monotonic()
    await site.told()
    await until(lambda: time.monotonic() - stopped > 16, 30)
    _signal(victim, signal.SIGCONT)
    site.ask(100)
    await site.told()
    return recovered_s(site.ledger.path, held, stopped)


async def _busy(site: Site, victim: WorkerStarted) -> frozenset[str]:
    """Hold its engines until both lanes have a batch; what it has leased then."""
    victim.hold.write_text("")
    await until(lambda: len(site.held_by(victim)) >= 8, 30)
    return site.held_by(victim)


def _signal(worker: WorkerStarted, number: signal.Signals) -> None:
    child = worker.child()
    assert child is not None
    worker.process.send_signal(number)
    child.send_signal(number)


@scenario(Plan(workers=1, lanes=1, batch=32, takes_s=0.02))
async def a_deadly_picture(site: Site) -> Recovery:
    """One of a batch of 32 takes its process down with SIGSEGV, each time: 31 answers, one dead letter, 3 deaths."""
    site.hold()
    site.ask(1)
    await until(lambda: site.noted("run"))  # it keeps the lane, so that the others come together
    site.ask(16)
    site.ask(1, deadly=True)
    site.ask(15)
    await until(lambda: site.entries() == 33)
    started = time.monotonic()
    await site.told()
    restarts = await asyncio.to_thread(site.workers[0].metric, "vitrine_worker_restarts_total")
    with site.redis.client() as client:
        letters = client.xlen(f"{LINE.line.replace(':line:', ':dead:')}")
    assert (restarts, letters) == (3, 1)
    return time.monotonic() - started


@scenario(Plan(front_ends=2), breaks=("NotReady",))
async def front_end_dies(site: Site) -> Recovery:
    """SIGKILL of one of two front-ends: its callers are told, the other's notice nothing, nothing is kept for it."""
    site.ask(200, front_end=1)
    site.ask(200)
    await site.begun(40)
    site.front_ends[1].process.kill()
    killed = time.monotonic()
    await site.told()
    await until(lambda: len(_reply_streams(site)) == 1, 20)
    return time.monotonic() - killed


def _reply_streams(site: Site) -> list[bytes]:
    with site.redis.client() as client:
        return list(client.scan_iter("{vitrine}:rep:*"))


@scenario()
async def two_versions_side_by_side(site: Site) -> Recovery:
    """A front-end and a worker of another schema on the same Redis: each is answered by its own kind."""
    worker, front_end = (
        site.deployment.worker(TEST_SCHEMA="9", TEST_COMPUTE_S="0.005"),
        site.deployment.front_end(TEST_SCHEMA="9"),
    )
    site.workers.append(worker)
    site.front_ends.append(front_end)
    await site.ready(worker, front_end)
    site.clients.append(AsyncClient(front_end.address("gRPC"), retry=Retry(budget_s=0)))
    for _ in range(5):
        site.ask(40, front_end=0)
        site.ask(40, front_end=1)
        await site.begun(40)
    site.kill_child(worker)
    site.kill_child(site.workers[0])
    killed = time.monotonic()
    await site.told()
    return time.monotonic() - killed
