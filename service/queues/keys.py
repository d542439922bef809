"""The names of everything that Vitrine keeps in Redis. One hash tag: all of it lies on one node of a cluster."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.messages import ModelKey, Priority

#: The consumer group of every stream of work.
GROUP = "w"
#: TTL, in ms, of a model version's keys: how long they outlive the last worker's last beat.
KEY_TTL_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class LineKeys:
    """The keys of one model version."""

    line: str  #: hash: bytes queued, mean service time per item, lanes alive
    workers: str  #: zset: worker -> when its beat expires
    lanes: str  #: hash: worker -> its lanes
    about: str  #: JSON: what the version is
    streams: tuple[str, ...]  #: one stream of work per priority, most urgent first

    def stream(self, priority: Priority) -> str:
        """The stream of work of one priority."""
        return self.streams[priority]


@dataclass(frozen=True, slots=True)
class JobKeys:
    """The keys of one job, in the order in which scripts take them; see scripts/jobs.lua."""

    job: str
    inputs: str
    bits: str
    results: str

    @property
    def all(self) -> tuple[str, str, str, str]:
        """All of them, for scripts."""
        return self.job, self.inputs, self.bits, self.results


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys below one `prefix`."""

    prefix: str = "vitrine"

    @property
    def tag(self) -> str:
        """The common hash tag."""
        return f"{{{self.prefix}}}"

    @property
    def models(self) -> str:
        """Zset: "name:version" -> when the newest beat for it expires."""
        return f"{self.tag}:models"

    def of(self, model: ModelKey) -> LineKeys:
        """The keys of one model version."""
        return LineKeys(
            line=f"{self.tag}:line:{model}",
            workers=f"{self.tag}:workers:{model}",
            lanes=f"{self.tag}:lanes:{model}",
            about=f"{self.tag}:about:{model}",
            streams=tuple(f"{self.tag}:q:{model}:{priority.name[0].lower()}" for priority in Priority),
        )

    @property
    def jobs(self) -> tuple[str, str]:
        """Zset: job -> when it expires; and hash: job -> bytes of its inputs."""
        return f"{self.tag}:jobs", f"{self.tag}:jobs:held"

    def job(self, id: str) -> JobKeys:
        """The keys of one job."""
        key = f"{self.tag}:job:{id}"
        return JobKeys(key, f"{key}:in", f"{key}:bits", f"{key}:res")

    def idempotency(self, key: str) -> str:
        """String: the job that an idempotency key stands for."""
        return f"{self.tag}:idem:{key}"

    @property
    def cache(self) -> tuple[str, str, str]:
        """The response cache, in the order in which its script takes them; see scripts/keep_answer.lua."""
        key = f"{self.tag}:cache"
        return key, f"{key}:kept", f"{key}:bytes"

    @property
    def predictions(self) -> tuple[str, str, str, str]:
        """The prediction log, in the order in which its script takes them; see scripts/keep_prediction.lua."""
        key = f"{self.tag}:predictions"
        return key, f"{key}:kept", f"{key}:ages", f"{key}:bytes"

    @property
    def routes(self) -> str:
        """Hash: model -> JSON of its routing and those before."""
        return f"{self.tag}:routes"

    def pace(self, caller: str) -> str:
        """Hash: when a caller's next request and next byte are due."""
        return f"{self.tag}:pace:{caller}"

    def calls(self, caller: str) -> str:
        """Zset: the open calls of a caller, each with the end of its lease."""
        return f"{self.tag}:calls:{caller}"

    def replies(self, front_end: str) -> str:
        """The stream that one front-end's answers come by."""
        return f"{self.tag}:rep:{front_end}"

    def dead_letters(self, model: ModelKey) -> str:
        """What killed its workers too often."""
        return f"{self.dead_prefix}{model}"

    @property
    def dead_prefix(self) -> str:
        """What the keys of all dead letters begin with."""
        return f"{self.tag}:dead:"
