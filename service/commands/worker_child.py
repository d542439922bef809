"""The process that computes, as `vitrine worker` starts it: `python -m service.commands.worker_child`."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

from service.bootstrap.worker import Incarnation, build_worker
from service.commands.options import new_loop
from service.commands.worker import Order
from service.config import WorkerConfig, parse_as
from service.core.errors import ServiceError
from service.supervision.supervisor import IMPOSSIBLE
from service.supervision.tether import die_with
from service.telemetry import logs
from service.telemetry.levels import obey_signals


def main() -> None:
    """Do what stdin says until it is closed."""
    order = Order(**json.loads(_line(sys.stdin.fileno())))
    die_with(order.parent)
    config = parse_as(WorkerConfig, dict(order.flags), None if order.config is None else Path(order.config))
    logs.configure(config.log_level, config.log_format)
    incarnation = Incarnation(order.name, order.restarts, socket.socket(fileno=order.listening))
    with asyncio.Runner(loop_factory=new_loop) as runner:
        obey_signals(runner.get_loop())
        runner.run(build_worker(config, incarnation).run())


def _line(descriptor: int) -> bytes:
    """The first line, and nothing that comes after it."""
    read = bytearray()
    while not read.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            sys.exit(IMPOSSIBLE)  # the supervisor has died: nobody is left to be told
        read += byte
    return bytes(read)


if __name__ == "__main__":
    try:
        main()
    except ServiceError as error:
        print(f"vitrine: {error}", file=sys.stderr)  # noqa: T201 - a command speaks to its terminal
        sys.exit(IMPOSSIBLE)
