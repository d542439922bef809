"""The `vitrine` command: what can be typed. What it then does is in `service.commands`, imported when it is run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from service.cli import classify, examine, glass, jobs, keys, queue, roles, route, state
from service.cli.defaults import defaults
from service.cli.parameters import IMPOSSIBLE

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Serve image classifiers over gRPC.",
    context_settings={"auto_envvar_prefix": "VITRINE"},  # each option is also VITRINE_COMMAND_OPTION
)
for commands in (roles, state, classify, glass, examine):
    app.add_typer(commands.app)
for name, group in {"route": route, "jobs": jobs, "queue": queue, "keys": keys}.items():
    app.add_typer(group.app, name=name)


def main() -> None:
    """Run a command; what is a caller's to mend is one line on stderr."""
    from service.core.errors import ServiceError

    file = os.environ.get("VITRINE_CONFIG")
    try:
        app(default_map=defaults(typer.main.get_command(app), Path(file)) if file else None)
    except ServiceError as error:
        print(f"vitrine: {error}", file=sys.stderr)  # noqa: T201 - a command speaks to its terminal
        sys.exit(IMPOSSIBLE)
