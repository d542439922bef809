"""`vitrine-model export`, `publish` and `quantize`: from a run to files that can be served."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model.cli.parameters import DATA, ZOO, DataRoot, Models, Run, Version

app = typer.Typer()


@app.command()
def export(
    run: Run,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The ONNX file to write.")],
    root: DataRoot = DATA,
) -> None:
    """Write only the ONNX file of a run, through the same gate as `publish`."""
    from model import checkpoint, runs, summary
    from service.core.manifest import MODEL_FILE

    made = runs.load(run, root).release()
    checkpoint.write_bytes(target, made.files[MODEL_FILE])
    Console().print(summary.release(made.card, target))


@app.command()
def publish(run: Run, models: Models = ZOO, version: Version = None, root: DataRoot = DATA) -> None:
    """Export a run, prove it, measure it on the test split, and publish it."""
    from model import publish, runs, summary

    made = runs.load(run, root).release()
    Console().print(summary.release(made.card, publish.publish(models, made.card.name, made.files, version)))


@app.command()
def quantize(
    model: Annotated[
        str, typer.Argument(metavar="MODEL[:VERSION]", help="An fp32 version; the newest one if not given.")
    ],
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="A folder of pictures, or a recipe, whose test split then judges; the stored samples if not given."
        ),
    ] = None,
    models: Models = ZOO,
    version: Version = None,
    root: DataRoot = DATA,
) -> None:
    """Publish the INT8 variant of a version, calibrated on real pictures, as the next version."""
    from model import int8, publish, summary, versions

    stored = versions.named(model, models)
    made = int8.release_int8(stored, int8.calibration(stored, calibration, root))
    Console().print(summary.release(made.card, publish.publish(models, stored.key.name, made.files, version)))
