"""`vitrine worker`: its options are the fields of `WorkerConfig`. This process supervises; a child of it computes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from service.bootstrap.supervisor import build_supervisor
from service.commands import terminal
from service.commands.options import Flag, command, given, new_loop
from service.config import WorkerConfig, host_and_port, parse_as
from service.telemetry import logs
from service.web.server import listen


@dataclass(frozen=True, slots=True)
class Order:
    """What a child is told on its stdin, as one line of JSON. No secrets: those it reads where its supervisor did."""

    flags: Mapping[str, str]
    config: str | None
    name: str
    restarts: int
    listening: int  #: file descriptor of the HTTP socket, which outlives the child
    parent: int  #: process id of the supervisor


def work(config: Path | None, **flags: Flag) -> None:
    """Compute what front-ends (`vitrine serve --redis`) put into Redis, until SIGTERM or SIGINT.

    Then what is leased is finished, for --grace-s seconds, and the rest goes back to the queue. Models are loaded in a
    child process, which is started again when a picture, a library or a stuck lane has taken it down. Flags come
    before VITRINE_* variables, those before the YAML file of --config, and that before the defaults.
    """
    told = given(flags)
    settings = parse_as(WorkerConfig, told, config)
    logs.configure(settings.log_level, settings.log_format)
    host, port = host_and_port(settings.http)

    async def spawn(name: str, restarts: int) -> Process:
        path = None if config is None else str(config)
        return await _start(Order(told, path, name, restarts, listening.fileno(), os.getpid()))

    supervisor = build_supervisor(settings, spawn)
    with listen(host, port) as listening, asyncio.Runner(loop_factory=new_loop) as runner:
        address = f"{settings.http.rpartition(':')[0]}:{listening.getsockname()[1]}"
        scheme = "https" if settings.tls_cert else "http"
        terminal.lines().print(f"HTTP  {scheme}://{address}  (/healthz /readyz /metrics)")
        code = runner.run(supervisor.run())
    raise typer.Exit(code)


async def _start(order: Order) -> Process:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service.commands.worker_child"),
        stdin=PIPE,
        stdout=PIPE,
        pass_fds=(order.listening,),
        start_new_session=True,  # Ctrl-C is for the supervisor, which then has the child drain
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
    return child


app = command(work, WorkerConfig, without=("grpc", "introspection", "tap_bytes", "picture_bytes", "picture_ttl_s"))
