"""A real `vitrine serve` or `vitrine worker` in a process of its own, and load against it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.bench.load import Load, Run
from tests.bench.peers.load import Posts
from tests.servers import free_port


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers: its addresses, its process, and how long it took from `exec` to ready, in seconds."""

    grpc: str
    http: str
    process: psutil.Process
    ready_s: float

    def rss_mib(self) -> float:
        """Resident memory of the server, in MiB."""
        return float(self.process.memory_info().rss) / 2**20


@contextlib.contextmanager
def serve(models: Path, **settings: str) -> Iterator[Served]:
    """`vitrine serve` over `models`, with VITRINE_* `settings`; ended with SIGTERM."""
    grpc, http = (f"127.0.0.1:{free_port()}" for _ in range(2))
    started = time.perf_counter()
    with _running("serve", http, {"grpc": grpc, "models": str(models)} | settings) as process:
        yield Served(grpc, http, psutil.Process(process.pid), time.perf_counter() - started)


@contextlib.contextmanager
def work(models: Path, redis: str, **settings: str) -> Iterator[psutil.Process]:
    """`vitrine worker` for the queue at `redis`, likewise: its supervisor, whose child computes."""
    http = f"127.0.0.1:{free_port()}"
    with _running("worker", http, {"redis": redis, "models": str(models)} | settings) as process:
        yield psutil.Process(process.pid)


@contextlib.contextmanager
def _running(command: str, http: str, settings: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    variables = {"http": http, "log_level": "warning"} | settings
    environment = os.environ | {f"VITRINE_{name.upper()}": value for name, value in variables.items()}
    process = subprocess.Popen([sys.executable, "-m", "service", command], env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait_until_ready(http, process)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def drive(load: Load) -> Run:
    """Run one load in a client process."""
    return driven("tests.bench.load", load)


def driven(client: str, load: Load | Posts) -> Run:
    """What the module `client` prints of one load, in a process of its own."""
    command = [sys.executable, "-m", client, json.dumps(asdict(load))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Run(**json.loads(done.stdout))


def _wait_until_ready(http: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"http://{http}/readyz", timeout=60)
            return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} ended with exit code {process.returncode}")
