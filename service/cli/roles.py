"""`vitrine serve`, `worker` and `doctor`: their options are those of the configuration, and read with it."""

from __future__ import annotations

from functools import partial

import typer

app = typer.Typer()
passed_on = partial(
    app.command, add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)


@passed_on()
def serve(context: typer.Context) -> None:
    """Serve the models of a folder; `vitrine serve --help` lists the options."""
    from service.commands import serve

    serve.app(context.args, prog_name="vitrine serve")


@passed_on()
def worker(context: typer.Context) -> None:
    """Compute for front-ends that queue in Redis; `vitrine worker --help` lists the options."""
    from service.commands import worker

    worker.app(context.args, prog_name="vitrine worker")


@passed_on()
def doctor(context: typer.Context) -> None:
    """Check a deployment and say what to mend; `vitrine doctor --help` lists the options."""
    from service.commands import doctor

    doctor.app(context.args, prog_name="vitrine doctor")
