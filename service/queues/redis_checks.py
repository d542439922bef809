"""Settings of a Redis server that would lose work: said at start-up, with the line that mends each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from service.core.errors import Refused
from service.queues.redis_link import Link, Rejected
from service.queues.redis_url import Server

#: Traffic of pictures would rewrite a smaller append-only file every few seconds.
_MIN_REWRITE = 2**30
_OLDEST = (6, 2)
#: Looked at one by one: CONFIG GET * would have the server send its passwords.
_SETTINGS = ("maxmemory-policy", "appendonly", "appendfsync", "auto-aof-rewrite-min-size", "min-replicas-to-write")


@dataclass(frozen=True, slots=True)
class Finding:
    """One setting. `fatal` ones lose accepted work; the others cost speed or memory. `mend` is a redis.conf line."""

    setting: str
    value: str
    why: str
    mend: str
    fatal: bool

    def __str__(self) -> str:
        return f"redis: {self.setting} is {self.value!r}: {self.why}; set `{self.mend}`"


def judge(config: Mapping[str, str], *, jobs: bool) -> list[Finding]:
    """What is wrong with a server's settings; `jobs` tells whether it is to keep jobs through a crash.

    `config` is what CONFIG GET says, and `connected_slaves` of INFO; what is missing counts as right.
    """
    findings = []
    policy = config.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        why = "queued work and leases would be evicted"
        findings.append(Finding("maxmemory-policy", policy, why, "maxmemory-policy noeviction", fatal=True))
    appends, fsync = config.get("appendonly", "no"), config.get("appendfsync", "everysec")
    if jobs and appends != "yes":
        why = "accepted jobs would be lost with the process"
        findings.append(Finding("appendonly", appends, why, "appendonly yes", fatal=True))
    if jobs and fsync != "always":
        why = "jobs accepted within the last second or two would be lost in a crash"
        findings.append(Finding("appendfsync", fsync, why, "appendfsync always", fatal=True))
    rewrite = config.get("auto-aof-rewrite-min-size", str(_MIN_REWRITE))
    if appends == "yes" and int(rewrite) < _MIN_REWRITE:
        why = "pictures would have the append-only file rewritten every few seconds"
        findings.append(
            Finding("auto-aof-rewrite-min-size", rewrite, why, "auto-aof-rewrite-min-size 1gb", fatal=False)
        )
    replicas, least = int(config.get("connected_slaves", "0")), config.get("min-replicas-to-write", "0")
    if jobs and replicas and least == "0":
        why = f"jobs accepted last would be lost when one of the {replicas} replicas takes over"
        findings.append(Finding("min-replicas-to-write", least, why, "min-replicas-to-write 1", fatal=False))
    return findings


async def check(server: Server, *, jobs: bool) -> list[Finding]:
    """Findings that cost speed or memory only, and those that cannot be looked into.

    Raises `Refused` with every fatal finding, or for a server older than Redis 6.2; `NotReady` when Redis is away.
    """
    async with Link(server) as link:
        _check_version(_fields(await link.send("INFO", "server")))
        replication = _fields(await link.send("INFO", "replication"))
        try:
            replies = await asyncio.gather(*(link.send("CONFIG", "GET", setting) for setting in _SETTINGS))
        except Rejected as error:
            return [_unseen(error)]
    config = {name.decode(): value.decode() for name, value in filter(None, replies)}
    config["connected_slaves"] = replication["connected_slaves"]
    findings = judge(config, jobs=jobs)
    fatal = [str(finding) for finding in findings if finding.fatal]
    if fatal:
        raise Refused("; ".join(fatal))
    return findings


def _unseen(error: Rejected) -> Finding:
    """A user without the permission, or a managed service, which forbids it to everybody."""
    mend = "ACL SETUSER NAME +config|get" if error.kind == "NOPERM" else "maxmemory-policy noeviction"
    return Finding("CONFIG GET", "forbidden", f"settings cannot be looked at ({error})", mend, fatal=False)


def _fields(info: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)


def _check_version(server: Mapping[str, str]) -> None:
    version = server["redis_version"]
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise Refused(f"redis: version 6.2 or newer is needed, got {version}")
