"""What the command lines share: folders, versions, runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataRoot = Annotated[Path, typer.Option("--data", help="Folder that holds the datasets.")]
Models = Annotated[Path, typer.Option("--models", help="Folder to publish into.")]
Version = Annotated[int | None, typer.Option(help="Version number; the next free one if not given.")]
Run = Annotated[Path, typer.Argument(help="A run's folder, its best.pt, or a recipe that holds its weights.")]
Folder = Annotated[Path, typer.Argument(metavar="MODEL", help="A published version: MODELS/NAME/VERSION.")]
RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe's TOML file.")]

ZOO = Path(__file__).parents[1] / "zoo"
DATA = Path("data")
#: Where models go that are not shipped.
MADE = Path("runs/models")
