"""Has a worker's child process keep a ledger and die where its test wants; Python imports it, from PYTHONPATH.

While the file that VITRINE_TEST_HOLD names exists, no batch is computed but those that begin before the number of
pictures in it has begun, all processes of this worker counted; empty it is 0. Beside it `runs` gets one line of JSON
for each batch that is begun and for each completion that Redis has taken. A file `read`, `run`, `sent` or `applied`
there kills the process, once, at that point. A picture whose first pixel is 254 takes it down with SIGSEGV.
VITRINE_TEST_COMPUTE_S is how long a batch takes; VITRINE_TEST_SCHEMA makes any process one of another version, which
writes and reads entries of that schema only.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.chaos.ledger import lines

DEADLY = 254
#: How long after the last look at its deadline a picture may still go into the engine, on a machine that is busy.
_HAIR_S = 0.05


class _Ledger:
    def __init__(self, hold: Path) -> None:
        self._hold, self._folder = hold, hold.parent
        runs = self._folder / "runs"
        self._begun = sum(len(line["ids"]) for line in lines(runs, "run"))
        self._lock = threading.Lock()
        self._file = os.open(runs, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
        self.ids: dict[bytes, str] = {}  #: entry -> request, of what is leased and not finished

    def note(self, kind: str, ids: Iterable[str], **more: Any) -> None:
        line = {"kind": kind, "at": time.monotonic(), "ids": list(ids), **more}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def leased(self, entry: bytes, id: str) -> None:
        self.ids[entry] = id

    def finished(self, entries: Sequence[bytes]) -> None:
        names = [entry.decode() for entry in entries]
        self.note("effect", [self.ids.pop(entry) for entry in entries if entry in self.ids], entries=names)

    def begin(self, ids: Sequence[str], late: Sequence[str]) -> int:
        """How many had begun before these."""
        with self._lock:
            self.note("run", ids, late=late)
            before = self._begun
            self._begun += len(ids)
        return before

    def wait(self, before: int) -> None:
        while before >= self._limit():
            time.sleep(0.01)

    def _limit(self) -> float:
        try:
            return int(self._hold.read_text() or 0)
        except FileNotFoundError:
            return math.inf

    def die(self, point: str) -> None:
        order = self._folder / point
        if order.exists():
            order.unlink()
            self.note("death", self.ids.values(), point=point)
            os.kill(os.getpid(), signal.SIGKILL)


def _trap(hold: Path) -> None:
    from service.lane import Lane  # noqa: PLC0415 - in a worker's child only
    from service.queues.redis_link import Link  # noqa: PLC0415
    from service.queues.redis_work import RedisWork  # noqa: PLC0415
    from service.queues.scripts import COMPLETE, JOB_COMPLETE, Script  # noqa: PLC0415

    ledger, takes_s = _Ledger(hold), float(os.environ.get("VITRINE_TEST_COMPUTE_S", "0"))
    lease, infer, run = RedisWork.lease, Lane._infer, Link.run
    # The entries among a completion's arguments; see complete.lua and job_complete.lua.
    finishing: Mapping[Script, Callable[[Sequence[Any]], Sequence[bytes]]] = {
        COMPLETE: lambda args: args[3::5],
        JOB_COMPLETE: lambda args: args[3 + args[2] :: 6],
    }

    async def leasing(work: RedisWork, *args: Any) -> Any:
        leases = await lease(work, *args)
        for each in leases:
            held: Any = each.token
            ledger.leased(held.work.entry, each.request.id)
        if leases:
            ledger.die("read")
        return leases

    def inferring(lane: Lane, pictures: Sequence[Any], *, alone: bool) -> Any:
        now, requests = time.monotonic(), [picture.lease.request for picture in pictures]
        late = [request.id for request in requests if request.late(now - _HAIR_S)]
        before = ledger.begin([request.id for request in requests], late)
        if any(picture.pixels[0, 0, 0] == DEADLY for picture in pictures):
            os.kill(os.getpid(), signal.SIGSEGV)
        ledger.wait(before)
        ledger.die("run")
        time.sleep(takes_s)
        return infer(lane, pictures, alone=alone)

    def running(link: Link, script: Any, keys: Any, *args: Any) -> Any:
        if script not in finishing:
            return run(link, script, keys, *args)
        ledger.die("sent")
        reply = run(link, script, keys, *args)
        reply.add_done_callback(partial(applied, finishing[script](args)))
        return reply

    def applied(entries: Sequence[bytes], reply: Any) -> None:
        if not reply.cancelled() and reply.exception() is None:
            ledger.finished([entry for entry, first in zip(entries, reply.result(), strict=True) if first])
            ledger.die("applied")

    RedisWork.lease = leasing  # type: ignore[method-assign, assignment]
    Lane._infer = inferring  # type: ignore[method-assign, assignment]
    Link.run = running  # type: ignore[method-assign, assignment]


def _change(schema: str) -> None:
    from service.queues import envelope  # noqa: PLC0415 - only where it is asked for

    envelope.SCHEMA = schema.encode()


if "VITRINE_TEST_SCHEMA" in os.environ and "service" in " ".join(sys.orig_argv):
    _change(os.environ["VITRINE_TEST_SCHEMA"])
if "service.commands.worker_child" in sys.orig_argv:
    _trap(Path(os.environ["VITRINE_TEST_HOLD"]))
