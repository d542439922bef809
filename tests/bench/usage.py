"""What processes use."""

from __future__ import annotations

import psutil

from tests.servers import RedisServer


def cpu_s(*processes: psutil.Process) -> float:
    """Seconds of CPU that they have used so far, their children apart."""
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def family(process: psutil.Process) -> tuple[psutil.Process, ...]:
    """It and its children."""
    return (process, *process.children(recursive=True))


def of_redis(server: RedisServer) -> psutil.Process:
    """The process of a server that runs."""
    assert server.process
    return psutil.Process(server.process.pid)
