"""Settings of a Redis server that would lose work: said at start-up, with the line that mends each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.core.errors import Refused
from service.queues.redis_link import Link, Rejected
from service.queues.redis_url import Server

#: Traffic of pictures would rewrite a smaller append-only file every few seconds.
_MIN_REWRITE = 2**30
_OLDEST = (6, 2)


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
    """What is wrong with a server's settings; `jobs` tells whether it is to keep jobs through a crash."""
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
    return findings


async def check(server: Server, *, jobs: bool) -> list[Finding]:
    """Findings that cost speed or memory only, and those that cannot be looked into.

    Raises `Refused` with every fatal finding, or for a server older than Redis 6.2; `NotReady` when Redis is away.
    """
    async with Link(server) as link:
        _check_version(await link.send("INFO", "server"))
        try:
            pairs = [part.decode() for part in await link.send("CONFIG", "GET", "*")]
        except Rejected as error:  # managed services forbid it
            return [Finding("CONFIG GET", "forbidden", str(error), "maxmemory-policy noeviction", fatal=False)]
    findings = judge(dict(zip(pairs[::2], pairs[1::2], strict=True)), jobs=jobs)
    fatal = [str(finding) for finding in findings if finding.fatal]
    if fatal:
        raise Refused("; ".join(fatal))
    return findings


def _check_version(info: bytes) -> None:
    fields = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    version = fields["redis_version"]
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise Refused(f"redis: version 6.2 or newer is needed, got {version}")
