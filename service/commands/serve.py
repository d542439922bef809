"""`vitrine serve`: its options are the fields of `Config`, each said once, there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from service.bootstrap import build_server
from service.commands import terminal
from service.commands.options import Flag, command, given, new_loop
from service.config import Config, parse
from service.lifecycle import Ports
from service.telemetry import logs
from service.telemetry.levels import obey_signals


def serve(config: Path | None, **flags: Flag) -> None:
    """Serve the models of a folder until SIGTERM or SIGINT, then finish what is in flight.

    With --redis the models are those of `vitrine worker` processes, and nothing is computed here. Flags come before
    VITRINE_* variables, those before the YAML file of --config, and that before the defaults.
    """
    settings = parse(given(flags), config)
    logs.configure(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        obey_signals(runner.get_loop())
        runner.run(build_server(settings).run(lambda ports: announce(settings, ports)))


def announce(settings: Config, ports: Ports) -> None:
    """Say where it listens and how to call it."""
    grpc_host, http_host = settings.grpc.rpartition(":")[0], settings.http.rpartition(":")[0]
    server = f"{grpc_host}:{ports.grpc}"
    scheme = "https" if settings.tls_cert else "http"
    terminal.lines().print(
        f"gRPC  {server}\nHTTP  {scheme}://{http_host}:{ports.http}  (/healthz /readyz /metrics)\n\n"
        f"  vitrine models --server {server}\n"
        f"  vitrine classify --server {server} --model NAME PATH"
    )


app = command(serve, Config)
