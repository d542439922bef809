"""The Lua scripts of jobs against a model of them: any order of anything gives each item one result."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from service.core.messages import ModelKey, Priority
from service.queues import scripts
from service.queues.keys import GROUP, KEY_TTL_MS, Keys
from service.queues.scripts import Script
from tests.servers import KINDS, RedisServer, require

KEYS = Keys("model")
LINE = KEYS.of(ModelKey("m", 1))
STREAM = LINE.stream(Priority.BULK)
TTL_MS, MAX_JOBS, MAX_BYTES, MAX_ITEMS = 3_600_000, 3, 200, 60
#: The window of a job of weight 2 while a quarter of a lane is alive that takes 500 ms for an item: 32 items.
LANE: dict[Any, Any] = {"lanes": 0.25, "ms": 500}


@dataclass
class Job:
    """What the model knows of one job."""

    state: str = "open"
    chunks: int = 0
    items: int = 0
    results: Counter[int] = field(default_factory=Counter)
    failed: int = 0
    size: int = 0  #: of an item

    gone: bool = False

    @property
    def there(self) -> bool:
        return self.state in {"open", "running"} and not self.gone


@dataclass
class Lease:
    """One entry that a worker holds, or has held."""

    job: str
    index: int
    acknowledged: bool = False


class JobMachine(RuleBasedStateMachine):
    """Clients, workers and janitors take turns in any order."""

    jobs = Bundle("jobs")
    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.client = self.server.client()
        self.client.flushall()
        self.model: dict[str, Job] = {}
        self.leases: dict[bytes, Lease] = {}
        self.opened = 0
        self.worker = 0

    def teardown(self) -> None:
        self.client.close()

    def run(self, script: Script, keys: list[str], *args: Any) -> Any:
        """As `Link.run` does."""
        return self.client.eval(script.text.decode(), len(keys), *keys, *args)

    def lined(self, job: str) -> list[str]:
        return [*KEYS.jobs, LINE.line, STREAM, *KEYS.job(job).all]

    @initialize()
    def begin(self) -> None:
        self.make_group()
        self.client.hset(LINE.line, mapping=LANE)
        self.client.pexpire(LINE.line, KEY_TTL_MS)

    def make_group(self) -> None:
        self.client.xgroup_create(STREAM, GROUP, "0", mkstream=True)
        self.client.pexpire(STREAM, KEY_TTL_MS)

    # What clients do

    @rule(target=jobs, size=st.integers(1, 8), weight=st.sampled_from([1, 2, 4]))
    def open(self, size: int, weight: int) -> Any:
        job = f"j{self.opened}"
        self.opened += 1
        keys = [*KEYS.jobs, *KEYS.job(job).all, KEYS.idempotency(job)]
        sent = (TTL_MS, MAX_JOBS, "w", weight, "p", "params", "model", "m:1")
        verdict, value = self.run(scripts.JOB_OPEN, keys, job, *sent)
        kept = sum(not known.gone for known in self.model.values())
        if kept >= MAX_JOBS:
            assert (verdict, value) == (b"FULL", kept)
            return multiple()
        assert (verdict, value) == (b"OK", job.encode())
        again = [*KEYS.jobs, *KEYS.job("other").all, KEYS.idempotency(job)]
        assert self.run(scripts.JOB_OPEN, again, "other", *sent) == [b"OLD", job.encode()]
        self.model[job] = Job(size=size)
        return job

    @rule(job=jobs, ahead=st.sampled_from([0, 0, 0, 0, 0, -1, 1]), count=st.integers(1, 25))
    def append(self, job: str, ahead: int, count: int) -> None:
        """The next chunk, one that was accepted before, or one too far."""
        known = self.model[job]
        chunk = max(0, known.chunks + ahead)
        held = sum(self.held(one) for one in self.model.values())
        verdict = self.run(
            scripts.JOB_APPEND, self.lined(job), job, chunk, MAX_BYTES, MAX_ITEMS, "last", *["x" * known.size] * count
        )
        if known.gone:
            assert verdict == [b"GONE"]
        elif chunk < known.chunks:
            assert verdict == [b"OK", known.chunks, known.items]
        elif known.state != "open":
            assert verdict == [b"ENDED", known.state.encode()]
        elif chunk > known.chunks:
            assert verdict == [b"GAP", known.chunks]
        elif known.items + count > MAX_ITEMS:
            assert verdict == [b"ITEMS", known.items]
        elif held + count * known.size > MAX_BYTES:
            assert verdict == [b"BYTES", held]
        else:
            known.chunks, known.items = known.chunks + 1, known.items + count
            assert verdict == [b"OK", known.chunks, known.items]

    def held(self, job: Job) -> int:
        return (job.items - len(job.results)) * job.size if job.there else 0

    @rule(job=jobs, missing=st.sampled_from([0, 0, 1]))
    def seal(self, job: str, missing: int) -> None:
        known = self.model[job]
        verdict = self.run(scripts.JOB_SEAL, self.lined(job), job, known.chunks + missing)
        if known.gone:
            assert verdict == [b"GONE"]
            return
        assert verdict == ([b"GAP", known.chunks] if missing else [b"OK"])
        if not missing and known.state == "open":
            known.state = "running"
            self.conclude(known)

    @rule(job=jobs)
    def cancel(self, job: str) -> None:
        known = self.model[job]
        ended = self.run(scripts.JOB_CANCEL, [*KEYS.jobs, STREAM, *KEYS.job(job).all], job)
        assert ended == known.there
        if known.there:
            known.state = "cancelled"
            assert self.client.hget(KEYS.job(job).job, "infl") == b"0"

    # What workers do

    @rule(count=st.integers(1, 20))
    def lease(self, count: int) -> None:
        reply: Any = self.client.xreadgroup(GROUP, f"w{self.worker}", {STREAM: ">"}, count=count)
        for entry, fields in (found for _, entries in reply for found in entries):
            job, index = fields[b"j"].decode(), int(fields[b"n"])
            known = self.model[job]
            assert known.there or known.gone
            assert not known.results[index]
            assert fields[b"p"] == b"params"
            assert self.client.hget(KEYS.job(job).inputs, str(index)) == (b"x" * known.size if known.there else None)
            self.leases[entry] = Lease(job, index)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), good=st.booleans(), twice=st.booleans())
    def complete(self, data: st.DataObject, good: bool, twice: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        """Some leases of any jobs, by whoever held them once, perhaps twice."""
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.leases)), unique=True, min_size=1, max_size=12))
        jobs = sorted({self.leases[entry].job for entry in chosen})
        status = "ok" if good else "err"
        sent = [
            part
            for entry in chosen * (2 if twice else 1)
            for part in (entry, jobs.index(self.leases[entry].job) + 1, self.leases[entry].index, status, "name", "b")
        ]
        keys = [*KEYS.jobs, LINE.line, STREAM, *(key for job in jobs for key in KEYS.job(job).all)]
        won = self.run(scripts.JOB_COMPLETE, keys, GROUP, 0, len(jobs), *jobs, *sent)
        expected = [self.settle(entry, good=good) for entry in chosen]
        assert won == expected + [0] * (len(won) - len(expected))
        for job in jobs:
            self.conclude(self.model[job])

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        """What has killed its workers fails, and is a dead letter."""
        entry = data.draw(st.sampled_from(sorted(self.leases)))
        lease = self.leases[entry]
        keys = [*self.lined(lease.job), KEYS.dead_letters(ModelKey("m", 1))]
        letters = self.client.xlen(keys[-1])
        sent = (GROUP, lease.job, entry, lease.index, "name", "b", 1000, KEY_TTL_MS, "id", "x")
        assert self.run(scripts.JOB_BURY, keys, *sent) == self.settle(entry, good=False)
        assert self.client.xlen(keys[-1]) - letters in {0, 1}
        self.conclude(self.model[lease.job])

    def settle(self, entry: bytes, *, good: bool) -> int:
        lease = self.leases[entry]
        job = self.model[lease.job]
        first = not lease.acknowledged and job.there and not job.results[lease.index]
        lease.acknowledged = True
        if first:
            job.results[lease.index] += 1
            job.failed += not good
        return int(first)

    def conclude(self, job: Job) -> None:
        if job.there and job.state == "running" and len(+job.results) == job.items:
            job.state = "done"

    # What goes wrong

    @rule()
    def crash(self) -> None:
        """A worker dies: what it held is handed out again, and it may yet finish it."""
        dead, self.worker = f"w{self.worker}", self.worker + 1
        self.run(scripts.RELEASE, [STREAM], GROUP, dead, 0)
        for entry, _, fields in self.run(scripts.CLAIM, [STREAM], GROUP, f"w{self.worker}", 1000):
            lease = self.leases[entry]
            assert (lease.job, lease.index) == (fields[3].decode(), int(fields[5]))

    @rule()
    def lose_the_stream(self) -> None:
        """The stream disappears; janitors release again what was in it, and nothing else."""
        self.client.delete(STREAM)
        for lease in self.leases.values():
            lease.acknowledged = True
        self.make_group()
        for job, known in self.model.items():
            keys = [LINE.line, STREAM, *KEYS.job(job).all]
            again = self.run(scripts.JOB_MEND, keys, job)
            assert known.there or again == 0
            assert self.run(scripts.JOB_MEND, keys, job) == 0

    @rule(job=jobs)
    def expire(self, job: str) -> None:
        """Nothing has happened to it for as long as its TTL: Redis has dropped its keys."""
        self.client.delete(*KEYS.job(job).all)
        self.client.zadd(KEYS.jobs[0], {job: 1})
        self.model[job].gone = True

    # What always holds

    def kept(self) -> list[tuple[str, Job]]:
        return [(job, known) for job, known in self.model.items() if not known.gone]

    @invariant()
    def each_item_has_at_most_one_result(self) -> None:
        for job, known in self.kept():
            found: Any = self.client.xrange(KEYS.job(job).results)
            results = [int(fields[b"n"]) for _, fields in found if b"n" in fields]
            assert Counter(results) == +known.results
            assert [fields[b"end"] for _, fields in found if b"end" in fields] == (
                [] if known.there else [known.state.encode()]
            )

    @invariant()
    def counters_are_true(self) -> None:
        entries: Any = self.client.xrange(STREAM)
        flying = Counter(fields[b"j"].decode() for _, fields in entries)
        for job, known in self.kept():
            names = ("st", "total", "ok", "err", "infl", "rel")
            stored: Any = self.client.hmget(KEYS.job(job).job, names)
            state, *numbers = stored
            done = len(+known.results)
            total, good, bad, inflight, released = map(int, numbers)
            assert state.decode() == known.state
            assert (total, good, bad) == (known.items, done - known.failed, known.failed)
            assert inflight == flying[job]
            assert self.client.hlen(KEYS.job(job).inputs) == (known.items - done if known.there else 0)
            assert int(self.client.hget(KEYS.jobs[1], job) or 0) == self.held(known)
            if known.there:
                assert inflight == released - done  # nothing that was released is lost
                weight = int(self.client.hget(KEYS.job(job).job, "w") or 0)
                assert inflight == min(known.items - done, 32 * weight // 2) or released == known.items

    @invariant()
    def nothing_stays_for_ever(self) -> None:
        assert [key for key in self.client.scan_iter() if self.client.pttl(key) == -1] == []


@pytest.mark.parametrize("kind", KINDS)
def test_any_order_of_anything_gives_each_item_one_result(kind: str, tmp_path: Path) -> None:
    """Whatever clients repeat, workers lose and janitors mend."""
    require(kind)
    server = RedisServer(kind, tmp_path)
    server.start()
    try:
        machine = type(f"JobMachine{kind}", (JobMachine,), {"server": server})
        machine.TestCase.settings = settings(  # type: ignore[attr-defined]
            max_examples=15, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        )
        machine.TestCase().runTest()  # type: ignore[attr-defined]
    finally:
        server.stop()
