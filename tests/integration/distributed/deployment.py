"""Front-ends and workers as an operator starts them: processes, with a real Redis between them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from tests.servers import RedisServer
from tests.waiting import overdue

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ZOO = ROOT / "model" / "zoo"
#: Nothing is measured at load, so that every start is quick and computes the same way.
FIXED = {"PROVIDERS": "cpu", "LANES": "2", "INTRA_OP_THREADS": "1", "BATCH": "4", "POLL_S": "0.1", "STUCK_S": "60"}


#: A connection for each request: a worker's child may have been replaced since the last one.
_HTTP = httpx.Client(timeout=30, verify=False, limits=httpx.Limits(max_keepalive_connections=0))  # noqa: S501 - no TLS


def until(condition: Callable[[], object], timeout_s: float = 60.0) -> float:
    """Wait until `condition` holds; how long that took, in seconds."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, overdue(condition, timeout_s)
        time.sleep(0.01)
    return time.monotonic() - started


@dataclass
class Started:
    """One process of the deployment."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def said(self) -> str:
        """What it printed so far."""
        return (self.folder / "out").read_text()

    @property
    def log(self) -> str:
        """What it logged so far."""
        return (self.folder / "err").read_text()

    def address(self, door: str) -> str:
        """Where it listens; it says so itself, the port being the system's choice."""
        said = rf"^{door}  (\S+).*\n"
        until(lambda: re.search(said, self.said, re.MULTILINE) or self._alive())
        return str(re.findall(said, self.said, re.MULTILINE)[0])

    def get(self, path: str) -> httpx.Response:
        """From its HTTP port."""
        return _HTTP.get(self.address("HTTP") + path)

    def ready(self) -> bool:
        """Whether it may be sent work."""
        return self._alive() or self.get("/readyz").is_success

    def metric(self, series: str) -> float:
        """The value of one series; 0 while it is not there."""
        lines = (line.rpartition(" ") for line in self.get("/metrics").text.splitlines())
        return sum(float(value) for name, _, value in lines if name == series)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def _alive(self) -> bool:
        assert self.process.poll() is None, self.log
        return False


class WorkerStarted(Started):
    """A supervisor and its child."""

    @property
    def hold(self) -> Path:
        """While this file exists, its engines hang."""
        return self.folder / "hold"

    def child(self) -> psutil.Process | None:
        """The process that computes, if there is one just now."""
        children = psutil.Process(self.process.pid).children()
        return children[0] if children else None


Kind = TypeVar("Kind", bound=Started)


@dataclass
class Deployment:
    """What one test has started; all of it is killed in the end."""

    folder: Path
    redis: RedisServer
    traps: Path = HERE / "traps"  #: holds the sitecustomize.py that workers' children import
    environment: Mapping[str, str] = field(default_factory=dict)  #: of every process, beside its settings
    started: list[Started] = field(default_factory=list)

    def front_end(self, **settings: str) -> Started:
        """`vitrine serve --redis`."""
        return self._start(Started, ["serve"], {"GRPC": "127.0.0.1:0", "HTTP": "127.0.0.1:0"} | settings)

    def worker(self, models: Path = ZOO, model: str = "guide", **settings: str) -> WorkerStarted:
        """`vitrine worker --redis`; returns before it is ready."""
        settings = FIXED | {"MODELS": str(models), "MODEL": model} | settings
        return self._start(WorkerStarted, ["worker"], settings)

    def command(self, *words: str) -> Started:
        """Any other command of `vitrine`."""
        return self._start(Started, words, {})

    def ready(self, *started: Started) -> None:
        """Wait until all of them are."""
        for each in started:
            until(each.ready)

    def leases(self, model: str = "guide:1") -> list[tuple[str, int]]:
        """Who holds each request that is leased, and how many deaths it has seen."""
        with self.redis.client() as client:
            leases: list[Any] = client.xpending_range(f"{{vitrine}}:q:{model}:n", "w", "-", "+", 99)
        return [(lease["consumer"].decode(), lease["times_delivered"]) for lease in leases]

    def busy(self, count: int, model: str = "guide:1") -> None:
        """Wait until `count` requests are queued, and both lanes of one worker have some."""
        with self.redis.client() as client:
            until(lambda: client.xlen(f"{{vitrine}}:q:{model}:n") == count and len(self.leases(model)) > 1)

    def publish(self, name: str, version: int, models: Path) -> None:
        """Put the shipped version 1 of `name` into another folder, as `version`."""
        shutil.copytree(ZOO / name / "1", models / name / str(version))

    def end(self) -> None:
        """Kill what is left."""
        for each in self.started:
            each.process.kill()
            each.process.wait()

    def _start(self, kind: type[Kind], command: Sequence[str], settings: dict[str, str]) -> Kind:
        folder = self.folder / f"{command[0]}{len(self.started)}"
        folder.mkdir()
        variables = {"REDIS": self.redis.url, "TEST_HOLD": str(folder / "hold")} | settings
        environment = os.environ | self.environment | {f"VITRINE_{name}": value for name, value in variables.items()}
        environment["PYTHONPATH"] = os.pathsep.join((str(self.traps), str(ROOT)))
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "service", *command], cwd=ROOT, env=environment, stdout=out, stderr=err
            )
        started = kind(process, folder)
        self.started.append(started)
        return started
