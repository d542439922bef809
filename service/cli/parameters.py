"""What the command lines share: their options, and the codes that they end with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

#: Exit codes: some pictures failed; the command itself could not be done.
FAILED, IMPOSSIBLE = 1, 2

LOCAL = "127.0.0.1:50051"
Server = Annotated[str, typer.Option(envvar="VITRINE_SERVER", help="gRPC address of the server, HOST:PORT")]
PictureFile = Annotated[Path, typer.Argument(help="the picture", exists=True, dir_okay=False)]
ModelName = Annotated[str, typer.Option(help="name of the model")]
ModelVersion = Annotated[int, typer.Option(min=0, help="version of the model; 0 is the latest")]
TopK = Annotated[int, typer.Option(min=1, help="how many classes to return, best first")]
MinScore = Annotated[float, typer.Option(min=0, max=1, help="leave out classes that score below this")]
LayerPatterns = Annotated[list[str] | None, typer.Option(help="patterns of layers; all modules if none is given")]
KernelsWanted = Annotated[Literal["reference", "unfused", "as served"], typer.Option(help="which arithmetic")]
