"""`vitrine diagnose`, `compare` and `profile`: the health of a model, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.parameters import LOCAL, KernelsWanted, LayerPatterns, Server

Model = Annotated[str, typer.Argument(metavar="MODEL[:VERSION]", help="a served model; its latest version")]
Pictures = Annotated[list[Path] | None, typer.Argument(help="pictures; the samples stored with the model if none")]
Patience = Annotated[float, typer.Option(min=0.1, help="seconds for the whole answer")]

app = typer.Typer()


def _versioned(text: str) -> tuple[str, int]:
    """The name and the number of MODEL or MODEL:VERSION, 0 for the latest."""
    name, _, number = text.partition(":")
    if number and not number.isdecimal():
        raise typer.BadParameter(f"the version must be a number, got {number!r}")
    return name, int(number or 0)


@app.command()
def diagnose(
    model: Model,
    images: Pictures = None,
    *,
    layers: LayerPatterns = None,
    kernels: KernelsWanted = "reference",
    server: Server = LOCAL,
    timeout_s: Patience = 300.0,
) -> None:
    """Find what is wrong inside a model: NaN and where it began, dead and saturated channels, drift."""
    from service.commands import examine
    from service.core.diagnostics import DiagnoseRequest
    from service.core.introspection import Kernels
    from service.core.layers import Selector

    name, version = _versioned(model)
    asked, chosen = examine.pictures(images or ()), Selector(tuple(layers or ()))
    examine.diagnose(server, DiagnoseRequest(name, version, asked, chosen, Kernels(kernels)), timeout_s)


@app.command()
def compare(
    model: Model,
    other: Annotated[str, typer.Argument(metavar="OTHER[:VERSION]", help="what to compare it with")],
    images: Pictures = None,
    *,
    layers: LayerPatterns = None,
    kernels: KernelsWanted = "reference",
    threshold_db: Annotated[float | None, typer.Option(help="a layer below this diverges; by variant if unset")] = None,
    server: Server = LOCAL,
    timeout_s: Patience = 300.0,
) -> None:
    """Show layer by layer how far two versions are apart, and where they part: digits:1 digits:2."""
    from service.commands import examine
    from service.core.diagnostics import CompareRequest
    from service.core.introspection import Kernels
    from service.core.layers import Selector

    request = CompareRequest(
        *_versioned(model),
        *_versioned(other),
        pictures=examine.pictures(images or ()),
        layers=Selector(tuple(layers or ())),
        kernels=Kernels(kernels),
        threshold_db=threshold_db,
    )
    examine.compare(server, request, timeout_s)


@app.command()
def profile(
    model: Model,
    *,
    batch: Annotated[int, typer.Option(min=0, help="pictures at once; 0 is the served batch")] = 0,
    runs: Annotated[int, typer.Option(min=0, help="runs to average; 0 is the server's choice")] = 0,
    server: Server = LOCAL,
    timeout_s: Patience = 120.0,
) -> None:
    """Show how long each layer takes as it is served, and which layers are one kernel."""
    from service.commands import examine
    from service.core.diagnostics import ProfileRequest

    name, version = _versioned(model)
    examine.profile(server, ProfileRequest(name, version, batch, runs), timeout_s)
