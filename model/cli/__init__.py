"""The command `vitrine-model`: from a recipe to a published model."""

from __future__ import annotations

import logging
import sys

import typer

from model.cli import examining, importing, publishing, training

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for commands in (training, publishing, examining, importing):
    app.add_typer(commands.app)

_USAGE = 2


def main() -> None:
    """Entry point of the console script. Exit code 2 with one line for what the caller can mend."""
    from rich.console import Console
    from rich.markup import escape

    from service.core.errors import ServiceError

    # The exporter lists there every optional library that it could also export.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        app()
    except (ServiceError, OSError) as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(_USAGE)
