"""The Lua scripts against a model of them in Python: any order of anything keeps what callers were promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from service.core.messages import ModelKey, Priority
from service.queues import scripts
from service.queues.keys import GROUP, KEY_TTL_MS, Keys
from service.queues.scripts import Script
from tests.servers import KINDS, RedisServer, require

KEYS = Keys("model")
MODEL = ModelKey("m", 1)
LINE = KEYS.of(MODEL)
REPLIES = KEYS.replies("fe")
LIFE_MS, MAX_DEATHS, MAX_ENTRIES, MAX_BYTES = 3_600_000, 3, 6, 100
#: Mostly one stream, so that rules meet in it.
PRIORITIES = st.sampled_from([Priority.NORMAL] * 8 + [Priority.HIGH, Priority.BULK])
OPENING = 1  #: entries of the stream of replies that answer nobody


@dataclass
class Entry:
    """What the model knows of one accepted request."""

    token: bytes
    size: int
    priority: Priority
    there: bool = True  #: in its stream
    owner: bytes = b""  #: who leases it; empty while nobody does
    delivered: bool = False
    deaths: int = 0  #: what Redis counts as deliveries, less the forgiven ones


class ScriptMachine(RuleBasedStateMachine):
    """Front-end, workers and supervisor take turns in any order."""

    entries = Bundle("entries")
    server: RedisServer
    mutation: Callable[[str], str] = staticmethod(str)

    def __init__(self) -> None:
        super().__init__()
        self.client = self.server.client()
        self.client.flushall()
        self.model: dict[bytes, Entry] = {}
        self.replies: Counter[bytes] = Counter()
        self.dead_letters = 0
        self.workers = [b"w0", b"w1"]
        self.born = 2
        self.tokens = 0

    def teardown(self) -> None:
        self.client.close()

    def run(self, script: Script, keys: list[str], *args: Any) -> Any:
        """As `Link.run` does."""
        text = self.mutation(script.text.decode())
        return self.client.eval(text, len(keys), *keys, *args)

    @initialize()
    def begin(self) -> None:
        self.run(scripts.GREET, [REPLIES], LIFE_MS, "0-0")
        for worker in self.workers:
            self.beat(worker)

    def beat(self, worker: bytes) -> None:
        keys = [LINE.workers, LINE.lanes, LINE.line, KEYS.models, LINE.about, *LINE.streams]
        self.run(scripts.BEAT, keys, worker, 1, LIFE_MS, KEY_TTL_MS, str(MODEL), GROUP, b"{}")

    # What callers do

    @rule(target=entries, size=st.integers(1, 60), priority=PRIORITIES)
    def submit(self, size: int, priority: Priority) -> Any:
        token = b"%d" % self.tokens
        self.tokens += 1
        keys = [LINE.line, LINE.workers, LINE.stream(priority), *LINE.streams]
        sent = (MAX_ENTRIES, MAX_BYTES, -1, KEY_TTL_MS, size, b"1", token, "fe", b"", b"x" * size, 0)
        verdict = self.run(scripts.SUBMIT, keys, priority + 1, *sent)
        there = [entry for entry in self.model.values() if entry.there]
        if sum(entry.priority <= priority for entry in there) >= MAX_ENTRIES:
            assert verdict[0] == b"FULL"
        elif sum(entry.size for entry in there) + size > MAX_BYTES:
            assert verdict[0] == b"BYTES"
        else:
            assert verdict[0] == b"OK"
            self.model[verdict[1]] = Entry(token, size, priority)
            return verdict[1]
        return multiple()

    @rule(eid=entries)
    def cancel(self, eid: bytes) -> None:
        entry = self.model[eid]
        (found,) = self.run(scripts.CANCEL, [LINE.stream(entry.priority), LINE.line], GROUP, eid, entry.size)
        assert found == ((2 if entry.owner else 1) if entry.there else 0)
        if entry.there:
            self.finish(entry)

    # What workers do

    @rule(which=st.integers(0, 1), count=st.integers(1, 4), priority=PRIORITIES)
    def lease(self, which: int, count: int, priority: Priority) -> None:
        worker, stream = self.workers[which], LINE.stream(priority)
        reply: Any = self.client.xreadgroup(GROUP, worker.decode(), {stream: ">"}, count=count)
        waiting = [eid for eid in self.of(priority) if self.model[eid].there and not self.model[eid].delivered]
        assert [eid for _, found in reply for eid, _ in found] == waiting[:count]
        for eid in waiting[:count]:
            self.model[eid].owner, self.model[eid].delivered, self.model[eid].deaths = worker, True, 1

    @rule(eid=entries, again=st.booleans())
    def complete(self, eid: bytes, again: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        """Whoever had it once may finish it, late or twice."""
        entry = self.model[eid]
        body = (GROUP, 1.5, 100, *(eid, entry.size, 1, entry.token, b"answer") * (2 if again else 1))
        won = self.run(scripts.COMPLETE, [LINE.stream(entry.priority), LINE.line, REPLIES], *body)
        first = 1 if entry.there and entry.owner else 0
        assert won == [first, 0][: len(won)]
        self.replies[entry.token] += first
        if entry.owner:
            entry.owner = b""
            if first:
                self.finish(entry)

    @rule(which=st.integers(0, 1), priority=PRIORITIES)
    def renew(self, which: int, priority: Priority) -> None:
        worker, ids = self.workers[which], self.of(priority)
        lost, gone = self.run(scripts.RENEW, [LINE.stream(priority)], GROUP, worker, len(ids), *ids)
        assert lost == [eid for eid in ids if self.model[eid].owner != worker]
        assert gone == [eid for eid in ids if self.model[eid].owner == worker and not self.model[eid].there]

    @rule(which=st.integers(0, 1), priority=PRIORITIES)
    def reap(self, which: int, priority: Priority) -> None:
        worker = self.workers[which]
        self.beat(worker)
        sent = (GROUP, worker, LIFE_MS, 1_000, 0, 10**9, 2)
        released, freed, _ = self.run(scripts.REAP, [LINE.stream(priority), LINE.workers], *sent)
        expected = 0
        for eid in self.of(priority):
            entry = self.model[eid]
            if entry.owner and entry.owner not in self.workers:
                expected += entry.there and entry.owner != b"released"
                entry.owner = b"released" if entry.there else b""
        assert freed == expected
        assert released == sum(self.model[eid].owner == b"released" for eid in self.of(priority))

    @rule(which=st.integers(0, 1), room=st.integers(1, 3), priority=PRIORITIES)
    def claim(self, which: int, room: int, priority: Priority) -> None:
        worker, stream = self.workers[which], LINE.stream(priority)
        claimed = self.run(scripts.CLAIM, [stream], GROUP, worker, room)
        assert len(claimed) <= room
        assert len(claimed) <= 1 or all(deaths == 0 for _, deaths, _ in claimed)
        assert bool(claimed) == any(
            e.there and e.owner == b"released" for e in map(self.model.get, self.of(priority)) if e
        )
        looked_at = self.of(priority)
        if claimed and (claimed[-1][1] or len(claimed) == room):
            looked_at = looked_at[: looked_at.index(claimed[-1][0])]
        for entry in map(self.model.__getitem__, looked_at):
            if entry.owner == b"released" and not entry.there:
                entry.owner = b""
        for eid, deaths, _ in claimed:
            entry = self.model[eid]
            assert (entry.owner, entry.deaths) == (b"released", deaths)
            entry.owner, entry.deaths = worker, deaths + 1
            if deaths >= MAX_DEATHS:
                self.bury(eid, entry)

    def bury(self, eid: bytes, entry: Entry) -> None:
        keys = [LINE.stream(entry.priority), LINE.line, KEYS.dead_letters(MODEL), REPLIES]
        letter = (eid, entry.size, entry.token, b"dead", 100, KEY_TTL_MS, "id", entry.token)
        assert self.run(scripts.BURY, keys, GROUP, *letter) == 1
        assert self.run(scripts.BURY, keys, GROUP, *letter) == 0
        self.replies[entry.token] += 1
        self.dead_letters += 1
        entry.owner = b""
        self.finish(entry)

    # What goes wrong

    @rule(which=st.integers(0, 1), supervised=st.booleans())
    def crash(self, which: int, supervised: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
        """A worker dies; its successor has another name."""
        dead = self.workers[which]
        self.client.zrem(LINE.workers, dead)
        self.workers[which] = b"w%d" % self.born
        self.born += 1
        self.beat(self.workers[which])
        if supervised:
            self.release(dead, forgive=0)

    @rule(which=st.integers(0, 1), room=st.integers(1, 3), priority=PRIORITIES)
    def crash_over(self, which: int, room: int, priority: Priority) -> None:
        """A worker dies of what it has just taken, and leaves it to others."""
        self.lease(which, room, priority)
        self.claim(which, room, priority)
        self.crash(which, supervised=True)

    @rule(which=st.integers(0, 1), room=st.integers(1, 3), priority=PRIORITIES)
    def leave_a_mixture(self, which: int, room: int, priority: Priority) -> None:
        """One worker gives back what it has not run, another dies of what it has: a suspect among innocents."""
        self.share_out(which, priority)
        self.give_back(which)
        self.crash(1 - which, supervised=True)
        self.claim(which, room, priority)

    @rule(which=st.integers(0, 1), priority=PRIORITIES)
    def crash_behind(self, which: int, priority: Priority) -> None:
        """A worker dies whose leases come after those of one that lives."""
        self.share_out(which, priority)
        self.crash(1 - which, supervised=False)
        self.reap(which, priority)

    def share_out(self, which: int, priority: Priority) -> None:
        for _ in range(3):
            self.submit(1, priority)
        self.lease(which, 2, priority)
        self.lease(1 - which, 1, priority)

    @rule(which=st.integers(0, 1))
    def give_back(self, which: int) -> None:
        """A worker releases what it holds and has not run."""
        self.release(self.workers[which], forgive=1)

    def release(self, worker: bytes, forgive: int) -> None:
        for priority in Priority:
            count = self.run(scripts.RELEASE, [LINE.stream(priority)], GROUP, worker, forgive)
            mine = [self.model[eid] for eid in self.of(priority) if self.model[eid].owner == worker]
            assert count == sum(entry.there for entry in mine)
            for entry in mine:
                entry.owner = b"released" if entry.there else b""
                entry.deaths = max(0, entry.deaths - forgive)

    @rule()
    def sweep(self) -> None:
        for stream in LINE.streams:
            self.run(scripts.DELCONSUMER, [stream, LINE.workers], GROUP)

    # What always holds

    @invariant()
    def counters_match_the_streams(self) -> None:
        there = [entry for entry in self.model.values() if entry.there]
        size, entries = self.run(scripts.DEPTH, [LINE.line, *LINE.streams])[::-1]
        assert (entries, size) == (len(there), sum(entry.size for entry in there))

    @invariant()
    def every_lease_is_known(self) -> None:
        for priority in Priority:
            stream = LINE.stream(priority)
            leases = self.client.xpending_range(stream, GROUP, "-", "+", 100) if self.client.exists(stream) else []
            expected = {eid: self.model[eid].owner for eid in self.of(priority) if self.model[eid].owner}
            assert {lease["message_id"]: lease["consumer"] for lease in leases} == expected

    @invariant()
    def each_has_one_outcome_at_most(self) -> None:
        found: Any = self.client.xrange(REPLIES)
        assert Counter(fields[b"i"] for _, fields in found[OPENING:]) == +self.replies
        assert max(self.replies.values(), default=0) <= 1
        assert self.client.xlen(KEYS.dead_letters(MODEL)) == self.dead_letters

    @invariant()
    def every_key_has_a_time_to_live(self) -> None:
        assert [key for key in self.client.scan_iter() if self.client.pttl(key) < 0] == []

    def of(self, priority: Priority) -> list[bytes]:
        """The entries of one stream, oldest first."""
        return [eid for eid, entry in self.model.items() if entry.priority is priority]

    def finish(self, entry: Entry) -> None:
        entry.there = False


def play(server: RedisServer, mutation: Callable[[str], str], examples: int, *phases: Phase) -> None:
    """Let hypothesis look for an order of rules that breaks a promise."""
    machine = type("Machine", (ScriptMachine,), {"server": server, "mutation": staticmethod(mutation)})
    machine.TestCase.settings = settings(  # type: ignore[attr-defined]
        max_examples=examples,
        stateful_step_count=60,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=phases or tuple(Phase),
        derandomize=bool(phases) or settings().derandomize,
    )
    machine.TestCase().runTest()  # type: ignore[attr-defined]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[[str], RedisServer]]:
    """Start a server of some kind; it is gone after the test."""
    servers: list[RedisServer] = []

    def start(kind: str) -> RedisServer:
        require(kind)
        servers.append(RedisServer(kind, tmp_path))
        servers[0].start()
        return servers[0]

    yield start
    for server in servers:
        server.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_any_order_of_anything_keeps_the_promises(kind: str, running: Callable[[str], RedisServer]) -> None:
    """One outcome for each request, counters that match, no lease unknown, no key for ever."""
    play(running(kind), str, 12)


#: What could go wrong in a script: a part of its text, and what stands there instead.
MUTANTS = {
    "claim mixes suspects with innocents": ("and not (deaths > 0 and #taken > 0)", ""),
    "claim takes more after a suspect": ("if deaths > 0 or #taken == room then", "if #taken == room then"),
    "claim takes more than there is room for": ("#taken == room", "#taken == room + 1"),
    "claim forgets a death": ("taken[#taken + 1] = {id, deaths,", "taken[#taken + 1] = {id, 0,"),
    "claim leaves tombstones": ("redis.call('XACK', KEYS[1], ARGV[1], id)\n    elseif not leave", "elseif not leave"),
    "complete deletes without asking who was first": ("if first == 1 then\n    first =", "do\n    first ="),
    "complete replies to every finisher": (
        "if first == 1 then\n      redis.call('HINCRBY'",
        "do\n      redis.call('HINCRBY'",
    ),
    "complete forgets the bytes": ("redis.call('HINCRBY', KEYS[2], 'bytes', -size)\n      if reply", "if reply"),
    "cancel forgets the bytes": ("redis.call('HINCRBY', KEYS[2], 'bytes', -ARGV[i + 1])", ""),
    "cancel calls leased work queued": ("found = 2", "found = 1"),
    "submit takes one too many": ("entries >= tonumber(ARGV[2])", "entries > tonumber(ARGV[2])"),
    "submit counts no bytes": ("bytes + size > tonumber(ARGV[3])", "bytes > tonumber(ARGV[3])"),
    "reap frees what the living hold": (
        "(not alive or idle >= tonumber(ARGV[6]))",
        "true",
    ),
    "reap looks at its first page only": (
        "from = '(' .. id\n  end\nuntil #leases < tonumber(ARGV[7])",
        "end\nuntil true",
    ),
    "reap counts a second delivery": ("'released', 0, id, 'JUSTID'", "'released', 0, id"),
    "release forgives every death": ("math.max(0, lease[4] - ARGV[3])", "0"),
    "release forgives no death": ("math.max(0, lease[4] - ARGV[3])", "lease[4]"),
    "release gives up what others hold": ("from, '+', 100, ARGV[2])", "from, '+', 100)"),
    "renew steals back": ("if not lease or lease[2] ~= ARGV[2] then", "if not lease then"),
    "renew counts a delivery": ("ARGV[2], 0, id, 'JUSTID')", "ARGV[2], 0, id)"),
    "delconsumer drops leases": ("if pending == 0 and not alive", "if not alive"),
    "bury keeps the entry": ("if redis.call('XDEL', KEYS[1], ARGV[2]) == 0 then return 0 end", ""),
    "bury tells twice": ("if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end", ""),
}


@pytest.mark.chaos
@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_script_is_noticed(name: str, running: Callable[[str], RedisServer]) -> None:
    """The machine finds an order of rules that tells each of these scripts from the real one."""
    old, new = MUTANTS[name]
    assert sum(old in script.text.decode() for script in scripts.ALL) >= 1, "the mutant is none"
    server = running("redis")

    with pytest.raises((AssertionError, redis.ResponseError, ExceptionGroup)):
        play(server, lambda text: text.replace(old, new), 60, Phase.generate)
