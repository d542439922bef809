"""`vitrine keys`: API keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="API keys of a server that asks who calls.")


@app.command("new")
def new(
    name: Annotated[str, typer.Option(help="whom the key is for, as logs will call it")],
    *,
    scopes: Annotated[str, typer.Option(help="what it allows: infer,jobs,debug,admin")] = "infer",
    requests_per_s: Annotated[float | None, typer.Option(help="calls per second; unlimited when unset")] = None,
    bytes_per_s: Annotated[float | None, typer.Option(help="bytes sent per second; unlimited when unset")] = None,
    concurrent: Annotated[int | None, typer.Option(help="calls at once; unlimited when unset")] = None,
    file: Annotated[Path | None, typer.Option(help="the server's file of keys, to add the hash to")] = None,
) -> None:
    """Make an API key. The key goes to stdout, once; what the server keeps is its hash."""
    from service.commands import keys

    limits = {"requests_per_s": requests_per_s, "bytes_per_s": bytes_per_s, "concurrent": concurrent}
    keys.new(name, scopes.split(","), {key: value for key, value in limits.items() if value is not None}, file)
