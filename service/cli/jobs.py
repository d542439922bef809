"""`vitrine jobs`: durable sets of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.parameters import FAILED, LOCAL, MinScore, ModelName, ModelVersion, Server, TopK

app = typer.Typer(no_args_is_help=True, help="Durable sets of pictures: submitted once, computed whatever happens.")

JobId = Annotated[str, typer.Argument(metavar="ID", help="the job, as `submit` named it")]


@app.command("submit")
def submit(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="DIR|LIST", help="folders, pictures, URIs, or text files of these")
    ] = None,
    *,
    server: Server = LOCAL,
    model: ModelName = "",
    model_version: ModelVersion = 0,
    top_k: TopK = 5,
    min_score: MinScore = 0.0,
    priority: Annotated[Literal["low", "normal", "high"], typer.Option(help="share beside other jobs")] = "normal",
    ttl_s: Annotated[int, typer.Option(min=1, help="seconds to keep it after its last change")] = 7 * 24 * 3600,
    wait: Annotated[bool, typer.Option("--wait", help="wait for the results")] = False,
    out: Annotated[Path | None, typer.Option(help="file for the results: .jsonl, .csv or .parquet; waits")] = None,
    resume: Annotated[str, typer.Option(metavar="ID", help="go on with a job that was interrupted")] = "",
) -> None:
    """Hand in pictures as one job. Interrupting it loses nothing: --resume ID goes on where it was."""
    from service.commands.job_submission import Submission, submit
    from service.core.jobs import JobPriority, Order
    from service.core.messages import Options

    if not resume and not (model and paths):
        raise typer.BadParameter("--model NAME and what to submit are needed, or --resume ID")
    order = Order(model, model_version, Options(top_k, min_score), JobPriority[priority.upper()], ttl_s)
    failed = submit(Submission(server, order, resume, wait, out), paths or [])
    raise typer.Exit(FAILED if failed else 0)


@app.command("watch")
def watch(id: JobId, *, server: Server = LOCAL) -> None:
    """Show how a job goes on until it has ended. Exit code 1 when any of its items failed."""
    from service.commands import jobs

    raise typer.Exit(FAILED if jobs.watch(server, id) else 0)


@app.command("list")
def overview(*, server: Server = LOCAL) -> None:
    """List the jobs that are kept, newest first."""
    from service.commands import jobs

    jobs.overview(server)


@app.command("show")
def show(id: JobId, *, server: Server = LOCAL) -> None:
    """Print all that is known of a job."""
    from service.commands import jobs

    jobs.show(server, id)


@app.command("results")
def fetch(
    id: JobId,
    *,
    server: Server = LOCAL,
    out: Annotated[Path | None, typer.Option(help="file: .jsonl, .csv or .parquet; else JSON lines on stdout")] = None,
) -> None:
    """Write the results that are there by now. Exit code 1 when any of them is a failure."""
    from service.commands import jobs

    raise typer.Exit(FAILED if jobs.fetch(server, id, out) else 0)


@app.command("cancel")
def cancel(id: JobId, *, server: Server = LOCAL) -> None:
    """Have no more of a job computed; what is computed stays."""
    from service.commands import jobs

    jobs.cancel(server, id)
