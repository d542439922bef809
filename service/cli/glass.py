"""`vitrine layers`, `features`, `explain` and `attribute`: what a model is, and what it sees in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.parameters import LOCAL, KernelsWanted, LayerPatterns, ModelName, ModelVersion, PictureFile, Server

app = typer.Typer()


@app.command()
def layers(
    model: Annotated[str, typer.Argument(help="name of the model")],
    patterns: Annotated[list[str] | None, typer.Argument(help="which layers: 'features.*' '**.conv2'")] = None,
    *,
    server: Server = LOCAL,
    model_version: ModelVersion = 0,
) -> None:
    """Show the modules of a model as a tree: what they put out, how far they see, what they cost."""
    from service.commands.layers import show

    show(server, model, model_version, patterns or ())


@app.command()
def features(
    image: PictureFile,
    *,
    model: ModelName,
    layers: LayerPatterns = None,
    format: Annotated[Literal["png", "npy", "html"], typer.Option(help="what to write")] = "png",
    out: Annotated[Path, typer.Option(help="folder for the files")] = Path("features"),
    channels: Annotated[
        int | None, typer.Option(min=0, help="the strongest so many of each layer, 0 for all; pictures show 64")
    ] = None,
    kernels: KernelsWanted = "reference",
    server: Server = LOCAL,
    model_version: ModelVersion = 0,
    timeout_s: Annotated[float, typer.Option(min=0.001, help="seconds for all of it")] = 300.0,
) -> None:
    """Write what the layers of a model saw in a picture: PNG sheets, NumPy files, or one HTML report."""
    from service.commands.features import SHOWN, Job, run
    from service.core.introspection import Kernels

    shown = channels if channels is not None else 0 if format == "npy" else SHOWN
    job = Job(server, model, model_version, layers or (), image, format, out, shown, Kernels(kernels), timeout_s)
    run(job)


@app.command()
def explain(
    image: PictureFile,
    *,
    model: ModelName,
    layer: Annotated[str, typer.Option(help="the layer's id, as `vitrine layers` shows it")],
    at: Annotated[list[str] | None, typer.Option(metavar="C,Y,X", help="channel and place; may be repeated")] = None,
    top: Annotated[int, typer.Option(min=1, help="terms of a sum to show, the largest first")] = 8,
    server: Server = LOCAL,
    model_version: ModelVersion = 0,
) -> None:
    """Show every factor behind one value of a layer: products, sums, what lay in the padding."""
    from service.commands.explain import Job, run

    run(Job(server, model, model_version, layer, at or ["0,0,0"], image, top))


@app.command()
def attribute(
    image: PictureFile,
    *,
    model: ModelName,
    out: Annotated[Path, typer.Option(metavar="FILE.png|.npy", help="the painted picture, or the map's numbers")],
    method: Annotated[
        Literal["auto", "cam", "gradcam", "hirescam", "layercam", "reciprocam", "occlusion", "rise"],
        typer.Option(help="auto: the most exact one that the network allows"),
    ] = "auto",
    target: Annotated[str | None, typer.Option("--class", help="label or index; the picture's best class")] = None,
    versus: Annotated[str | None, typer.Option(help="evidence for the class rather than for this one")] = None,
    layer: Annotated[str, typer.Option(help="the layer's id; the last map that everything goes through")] = "",
    signed: Annotated[bool, typer.Option("--signed", help="keep evidence against the class")] = False,
    masks: Annotated[int, typer.Option(min=1, help="of rise")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="of rise, and of the random maps of --check")] = 0,
    patch: Annotated[int, typer.Option(min=0, help="of occlusion, in pixels; 0: a 6th of the shorter side")] = 0,
    stride: Annotated[int, typer.Option(min=0, help="of occlusion, in pixels; 0: half of the patch")] = 0,
    fill: Annotated[
        Literal["mean", "blur", "black", "white"], typer.Option(help="what stands where the picture is hidden")
    ] = "mean",
    check: Annotated[bool, typer.Option("--check", help="insertion and deletion, beside random maps")] = False,
    server: Server = LOCAL,
    model_version: ModelVersion = 0,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="seconds for the whole answer")] = 300.0,
) -> None:
    """Show where in a picture the evidence for a class is."""
    from service.commands.attribute import run
    from service.core.attribution import AttributionRequest, Method
    from service.core.faithfulness import Check
    from service.core.introspection import Picture
    from service.core.perturbation import Fill, Occlusion, Rise

    request = AttributionRequest(
        model,
        model_version,
        Picture(image.read_bytes()),
        Method(method),
        layer,
        target,
        versus,
        signed=signed,
        fill=Fill(fill),
        occlusion=Occlusion(patch, stride),
        rise=Rise(masks, seed=seed),
        check=Check(seed=seed) if check else None,
    )
    run(server, request, out, timeout_s)
