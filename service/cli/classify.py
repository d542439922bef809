"""`vitrine classify`: pictures in, labels out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.parameters import FAILED, LOCAL, MinScore, ModelName, ModelVersion, Server, TopK

app = typer.Typer()


@app.command()
def classify(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH|DIR|-", help="pictures, folders, or - for paths on stdin")
    ],
    *,
    model: ModelName,
    server: Server = LOCAL,
    model_version: ModelVersion = 0,
    label: Annotated[str, typer.Option(help="a version by its name: stable, canary (`vitrine route`)")] = "",
    route_key: Annotated[str, typer.Option(help="all pictures get the version of a split that this key gets")] = "",
    top_k: TopK = 5,
    min_score: MinScore = 0.0,
    format: Annotated[Literal["table", "jsonl", "csv"], typer.Option(help="what to write")] = "table",
    concurrency: Annotated[int, typer.Option(min=1, help="pictures in flight at once")] = 16,
    timeout_s: Annotated[float, typer.Option(min=0.001, help="seconds for one picture, retries included")] = 30.0,
    output: Annotated[Path | None, typer.Option(help="file to write to instead of stdout")] = None,
    wait_s: Annotated[float, typer.Option(min=0, help="seconds to wait for the server and the model")] = 0.0,
) -> None:
    """Classify pictures, folders of them, or paths from stdin. Exit code 1 when any of them failed."""
    from service.commands.classify import Job, run
    from service.core.messages import Options

    options = Options(top_k, min_score)
    if label and model_version:
        raise typer.BadParameter("--label names a version already: it cannot stand beside --model-version")
    job = Job(server, model, model_version, options, format, concurrency, timeout_s, output, label, route_key, wait_s)
    raise typer.Exit(FAILED if run(job, paths) else 0)
