"""`vitrine models`, `replay`, `version` and `health`: what is served, was answered, is installed, and works."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from service.cli.parameters import FAILED, LOCAL, LayerPatterns, Server

app = typer.Typer()


@app.command()
def models(
    server: Server = LOCAL,
    *,
    tuning: Annotated[bool, typer.Option("--tuning", help="also show what was measured at load")] = False,
) -> None:
    """List what a server serves, in which state, and how fast."""
    from service.commands.models import show

    show(server, tuning=tuning)


@app.command()
def replay(
    id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="the id that the request had")],
    *,
    server: Server = LOCAL,
    layers: LayerPatterns = None,
    out: Annotated[Path | None, typer.Option(help="folder for the feature maps, as NumPy files")] = None,
) -> None:
    """Answer a logged request again, by the file that answered it, and show what its layers see.

    Exit code 1 when it cannot be replayed.
    """
    from service.commands.replay import run

    raise typer.Exit(0 if run(server, id, layers or (), out) else FAILED)


@app.command()
def version() -> None:
    """Print the version and those of what it stands on."""
    from service.commands.version import lines

    typer.echo("\n".join(lines()))


@app.command()
def health(
    server: Server = LOCAL,
    *,
    service: Annotated[str, typer.Option(help="a gRPC service or model; all of the server when unset")] = "",
    http: Annotated[str, typer.Option(metavar="URL", help="ask this /readyz instead: workers have no gRPC")] = "",
    timeout_s: Annotated[float, typer.Option(min=0.001, help="seconds to wait for the answer")] = 4.0,
) -> None:
    """Say whether a server (grpc.health.v1) or a worker (/readyz) may be sent work. Exit code 1 when not."""
    from service.client.probe import grpc_state, http_state

    serving, word = http_state(http, timeout_s) if http else asyncio.run(grpc_state(server, service, timeout_s))
    typer.echo(word)
    raise typer.Exit(0 if serving else FAILED)
