"""Redis dies, freezes, forgets, fills up, and loses its clock."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.chaos.scenario import ALONE_S, Recovery, scenario
from tests.chaos.site import LINE, Plan, Site
from tests.contract.benches import until

#: Bytes of accepted requests that Redis has not written yet: some hundred.
_HELD_BACK = 20_000


async def _restarted(site: Site) -> Recovery:
    await site.admitted(400)
    await site.begun(40)
    return await _started_again(site)


async def _started_again(site: Site) -> Recovery:
    site.redis.stop()
    await asyncio.to_thread(site.redis.start)
    recovered = await site.served()
    await site.told()
    return recovered


@scenario(Plan(durable=True), limit_s=ALONE_S)
async def redis_dies_with_every_write_synced(site: Site) -> Recovery:
    """SIGKILL of Redis with `appendfsync always`, and a new start."""
    return await _restarted(site)


@scenario(Plan(durable=True, fsync="everysec"), limit_s=ALONE_S)
async def redis_dies_with_writes_synced_each_second(site: Site) -> Recovery:
    """SIGKILL of Redis with `appendfsync everysec`, and a new start."""
    return await _restarted(site)


@scenario(Plan(durable=True, fsync="everysec"), limit_s=ALONE_S, forgets=True)
async def redis_dies_while_its_disk_stalls(site: Site) -> Recovery:
    """Each fsync takes 3 s, and `everysec` holds back what was accepted: SIGKILL loses it, front-ends ask again."""
    site.hold()
    with _stalled_disk(site), site.redis.client() as client:
        while int(client.info("persistence")["aof_buffer_length"]) < _HELD_BACK:
            site.ask(100)
            await until(lambda: site.entries() == len(site.tasks), 60)
        site.redis.signal(signal.SIGKILL)
    return await _started_again(site)


@contextmanager
def _stalled_disk(site: Site) -> Iterator[None]:
    assert site.redis.process is not None
    delay = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=3000000")
    command = ["strace", "-f", *delay, "-p", str(site.redis.process.pid)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracer:
        try:
            yield
        finally:
            tracer.kill()  # asked to end, it can wait for ever for threads of a process that was killed


@scenario(Plan(durable=True), limit_s=ALONE_S, forgets=True)
async def redis_loses_the_end_of_its_file(site: Site) -> Recovery:
    """SIGKILL, and the last 3,000 bytes of the append-only file are gone: front-ends ask again for what was in them."""
    await site.admitted(400)
    await site.begun(40)
    site.redis.stop()
    (file,) = (site.deployment.folder / "appendonlydir").glob("*.incr.aof")
    os.truncate(file, file.stat().st_size - 3000)
    return await _started_again(site)


@scenario(limit_s=ALONE_S, quick=True)
async def redis_dies_without_persistence(site: Site) -> Recovery:
    """SIGKILL of Redis that keeps nothing: front-ends hold the pictures, and ask again under the same id."""
    return await _restarted(site)


@scenario(Plan(durable=True), limit_s=ALONE_S, sheds=True, breaks=("NotReady",))
async def redis_restarts_while_callers_go_on(site: Site) -> Recovery:
    """A steady stream of callers: those who come while Redis is away are refused, and told so at once."""
    started, restarting = time.monotonic(), None
    while (since_s := time.monotonic() - started) < 4.0:
        site.ask(3)
        await asyncio.sleep(0.02)
        if since_s > 1.0 and restarting is None:
            site.redis.kill()
            restarting = asyncio.create_task(asyncio.to_thread(site.redis.start))
    assert restarting is not None
    await restarting
    recovered = await site.served()
    await site.told()
    return recovered


@scenario(quick=True)
async def redis_is_frozen(site: Site) -> Recovery:
    """SIGSTOP of Redis for 3 s: every worker looks dead to every other, and nobody takes anything from anybody."""
    await site.admitted(400)
    await site.begun(40)
    site.redis.signal(signal.SIGSTOP)
    await asyncio.sleep(3)
    site.redis.signal(signal.SIGCONT)
    thawed = time.monotonic()
    await site.told()
    assert site.account().in_vain == 0, "leases were taken from the living"
    return time.monotonic() - thawed


async def _loses(site: Site, lose: Callable[[], object]) -> Recovery:
    await site.admitted(500)
    for _ in range(3):
        await site.begun(60)
        lose()
        lost = time.monotonic()
    await site.told()
    return time.monotonic() - lost


@scenario(limit_s=ALONE_S, quick=True)
async def scripts_are_flushed(site: Site) -> Recovery:
    """SCRIPT FLUSH, three times."""
    return await _loses(site, lambda: site.redis.send("SCRIPT", "FLUSH"))


@scenario(limit_s=ALONE_S, quick=True)
async def groups_are_destroyed(site: Site) -> Recovery:
    """XGROUP DESTROY of every stream, three times: nobody knows who leases what."""
    return await _loses(site, lambda: [site.redis.send("XGROUP", "DESTROY", stream, "w") for stream in LINE.streams])


@scenario(limit_s=ALONE_S, quick=True)
async def connections_are_killed(site: Site) -> Recovery:
    """CLIENT KILL of every connection, three times."""
    return await _loses(site, lambda: site.redis.send("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))


@scenario(limit_s=ALONE_S)
async def redis_takes_no_more_connections(site: Site) -> Recovery:
    """`maxclients` falls below what is connected and every connection is killed: for 3 s not all of them come back."""
    await site.admitted(400)
    await site.begun(40)
    with site.redis.client() as client:
        most = client.config_get("maxclients")["maxclients"]
        client.config_set("maxclients", client.info("clients")["connected_clients"] // 2)
        client.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(3)
        client.config_set("maxclients", most)
    raised = time.monotonic()
    await site.told()
    return time.monotonic() - raised


@scenario(limit_s=ALONE_S)
async def everything_is_flushed(site: Site) -> Recovery:
    """FLUSHALL, three times."""
    return await _loses(site, lambda: site.redis.send("FLUSHALL"))


@scenario(
    Plan(options=("--maxmemory", "12mb", "--maxmemory-policy", "noeviction"), takes_s=0.05),
    sheds=True,
    breaks=("NotReady",),
)
async def redis_is_full(site: Site) -> Recovery:
    """At maxmemory what is new is refused, what was accepted is answered and makes room."""
    site.hold()
    site.ask(300, padding=100_000)
    await until(lambda: site.account().failed.get("NotReady"), 60)
    await site.told()
    return await site.served()


def _fake_clock(folder: Path) -> dict[str, str]:
    spec = find_spec("libfaketime")
    assert spec is not None
    assert spec.origin is not None
    (folder / "clock").write_text("+0")
    library = Path(spec.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


async def _steps(site: Site) -> Recovery:
    await site.admitted(400)
    for step in ("+1h", "-1h", "+0"):
        await site.begun(50)
        (site.deployment.folder / "clock").write_text(step)
    stepped = time.monotonic()
    await site.told()
    return time.monotonic() - stepped


# Valkey, since libfaketime and the jemalloc of Debian's Redis wait for each other.
@scenario(Plan(kind="valkey", server_environment=_fake_clock), limit_s=ALONE_S)
async def the_clock_of_redis_steps(site: Site) -> Recovery:
    """An hour forward, two back, one forward, under load: nothing is lost; a computation may be done twice."""
    return await _steps(site)


@scenario(Plan(environment=_fake_clock), limit_s=ALONE_S)
async def the_clocks_of_workers_and_front_ends_step(site: Site) -> Recovery:
    """The same to everybody else: only Redis's clock counts, so nothing changes."""
    recovered = await _steps(site)
    assert site.account().in_vain == 0, "leases were taken from the living"
    return recovered
