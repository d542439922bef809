"""`vitrine route`: which version callers of a model get."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.parameters import LOCAL, Server

app = typer.Typer(no_args_is_help=True, help="Which version callers of a model get: labels, splits, shadows.")

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="name of the model")]


@app.command("show")
def show(model: ModelName, *, server: Server = LOCAL) -> None:
    """Print the routing in force."""
    from service.commands import route

    route.show(server, model)


@app.command("set")
def change(
    model: ModelName,
    *,
    server: Server = LOCAL,
    label: Annotated[list[str] | None, typer.Option(metavar="LABEL=VERSION", help="name a version; repeatable")] = None,
    split: Annotated[
        list[str] | None, typer.Option(metavar="LABEL=WEIGHT", help="share of a label; repeat for all of them")
    ] = None,
    shadow: Annotated[
        str | None, typer.Option(metavar="LABEL[=SHARE]", help='send it copies (0.1: of a tenth); "" to stop')
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="LABEL", help="take a label away; repeatable")] = None,
) -> None:
    """Change labels, the split between them, or the shadow; what is not given stays."""
    from service.commands import route

    route.change(server, model, label or (), split or (), shadow, removed=remove or ())


@app.command("rollback")
def roll_back(model: ModelName, *, server: Server = LOCAL) -> None:
    """Put the routing before in force again, at once."""
    from service.commands import route

    route.roll_back(server, model)


@app.command("clear")
def clear(model: ModelName, *, server: Server = LOCAL) -> None:
    """Let callers get the latest version again."""
    from service.commands import route

    route.clear(server, model)
