"""What happens to requests when the process that computes them dies, or the one that asked."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from service.core.errors import EngineFailed
from service.core.messages import Request
from service.queues.leases import WorkerTimes
from service.queues.redis_release import release
from tests.contract.benches import MODEL, until
from tests.integration.queues.parts import KEYS, WorkerProcess, address, ask, asking, ids, residue, working
from tests.servers import RedisServer

pytestmark = pytest.mark.chaos

SLOW, DIE = b"slow", b"die"


def request_of(name: str, image: bytes) -> Request:
    """A request whose picture tells a worker process what to do."""
    return Request(name, MODEL, image)


async def test_a_killed_workers_leases_are_taken_over(server: RedisServer, tmp_path: Path) -> None:
    """Without a supervisor: another worker has answered what the dead one held before any lease has ended."""
    victim = WorkerProcess(server, "victim", tmp_path / "ledger")
    async with asking(server) as front_end:
        await victim.start()
        tasks = [asyncio.create_task(front_end.submit(request_of(f"{n}", SLOW))) for n in range(4)]
        await until(lambda: sum(map(len, victim.runs())) == 4)
        async with working(server) as lanes:
            victim.kill()
            await victim.ended()
            killed = time.monotonic()

            assert await ids(tasks) == ["0", "1", "2", "3"]
            assert time.monotonic() - killed < WorkerTimes().lease_s  # 4 s; `make chaos` measures it
            assert set(lanes.computed.values()) == {1}
            await until(lambda: residue(server) == {})


async def test_a_supervisor_frees_leases_at_once(server: RedisServer, tmp_path: Path) -> None:
    """With `release` on the child's death the others take over before it could have been missed."""
    victim = WorkerProcess(server, "victim", tmp_path / "ledger")
    async with asking(server) as front_end:
        await victim.start()
        tasks = [asyncio.create_task(front_end.submit(request_of(f"{n}", SLOW))) for n in range(4)]
        await until(lambda: sum(map(len, victim.runs())) == 4)
        async with working(server):
            victim.kill()
            await victim.ended()
            killed = time.monotonic()

            assert await release(address(server), "victim", KEYS) == 4
            assert await ids(tasks) == ["0", "1", "2", "3"]
            assert time.monotonic() - killed < WorkerTimes().life_s  # 0.3 s; `make chaos` measures it
            await until(lambda: residue(server) == {})


async def test_a_deadly_picture_hurts_no_neighbour(server: RedisServer, tmp_path: Path) -> None:
    """Of a batch of 32 one kills its worker, each time. 31 are answered, one becomes a dead letter, after 3 deaths."""
    names = [str(n) for n in range(32)]
    deaths = 0
    async with asking(server) as front_end:
        worker = WorkerProcess(server, "w0", tmp_path / "ledger", batch=32)
        await worker.start()
        tasks = {
            name: asyncio.create_task(front_end.submit(request_of(name, DIE if name == "13" else b"fine")))
            for name in names
        }
        answered = asyncio.create_task(asyncio.wait(tasks.values()))
        while not answered.done():
            ended = asyncio.create_task(worker.ended())
            await asyncio.wait([ended, answered], return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                assert await ended == -signal.SIGSEGV
                deaths += 1
                await release(address(server), worker.name, KEYS)
                worker = WorkerProcess(server, f"w{deaths}", tmp_path / "ledger", batch=32)
                await worker.start()

        with pytest.raises(EngineFailed, match="3 workers died while they computed this picture"):
            await tasks.pop("13")
        assert await ids(list(tasks.values())) == [name for name in names if name != "13"]
        assert deaths == 3
        runs = Counter(name for batch in worker.runs() for name in batch)
        assert runs.pop("13") == 3
        assert max(runs.values()) <= 2
        with server.client() as client:
            ((_, letter),) = client.xrange(KEYS.dead_letters(MODEL))
        assert (letter[b"id"], letter[b"deaths"], letter[b"image"]) == (b"13", b"3", DIE)
        worker.kill()
        await worker.ended()
        await until(lambda: residue(server) == {})


async def test_a_worker_that_leaves_in_order_gives_back_what_it_did_not_run(server: RedisServer) -> None:
    """What it had prefetched counts no death, and is answered by the others."""
    async with asking(server) as front_end, working(server) as other:
        async with working(server, computes_s=0.05) as leaver:
            tasks = ask(front_end, [str(n) for n in range(100)])
            await until(lambda: sum(leaver.computed.values()) >= 8)
        answered_by_leaver = sum(leaver.computed.values())

        assert len(await ids(tasks)) == 100
        assert answered_by_leaver < 100
        assert max((leaver.computed + other.computed).values()) == 1
        await until(lambda: residue(server) == {})


async def test_work_of_a_stopped_worker_has_one_effect(make_server: Callable[..., RedisServer], tmp_path: Path) -> None:
    """SIGSTOP past its life, SIGCONT: another worker has answered; the late answer is no second one."""
    server = make_server()
    sleeper = WorkerProcess(server, "sleeper", tmp_path / "ledger")
    async with asking(server) as front_end:
        await sleeper.start()
        tasks = [asyncio.create_task(front_end.submit(request_of(f"{n}", b"fine"))) for n in range(200)]
        await until(lambda: len(sleeper.runs()) > 3)
        assert sleeper.process is not None
        sleeper.process.send_signal(signal.SIGSTOP)
        async with working(server):
            assert await ids(tasks) == [str(n) for n in range(200)]
            sleeper.process.send_signal(signal.SIGCONT)
            assert await ids(ask(front_end, ["after"])) == ["after"]
            await until(lambda: residue(server) == {})
        sleeper.kill()
        await sleeper.ended()


async def test_answers_of_a_front_end_that_died_are_dropped(server: RedisServer) -> None:
    """Nothing is kept for it: its stream of replies is not made again by an answer."""
    async with working(server, computes_s=0.3) as lanes, asking(server) as front_end:
        tasks = ask(front_end, ["a"])
        await until(lambda: lanes.computed["a"] == 1)
        with server.client() as client:
            (replies,) = client.keys("*:rep:*")
            client.delete(replies)
        await until(lambda: residue(server) == {})

        with server.client() as client:
            assert client.xlen(replies) <= 1  # the front-end, which is alive here, may have said hello again
        assert await ids(tasks) == ["a"]  # and asked again
