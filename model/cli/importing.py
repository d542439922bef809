"""`vitrine-model import` and `photos`: networks that were trained elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model.cli.parameters import MADE, Models, Version
from service.core.errors import InvalidInput
from service.core.spec import Interpolation, Preprocess, Resize, Spec, Task, from_json, to_json

app = typer.Typer()


@app.command(name="import")
def take(
    factory: Annotated[str, typer.Argument(help="pkg.module:factory, called without arguments.")],
    *,
    name: Annotated[str, typer.Option(help="The model's name.")],
    weights: Annotated[Path, typer.Option(help="State dict, as torch.save writes it.")],
    labels: Annotated[Path, typer.Option(help="One label per line, in the order of the logits.")],
    samples: Annotated[Path, typer.Option(help="Folder of real pictures to check the export on.")],
    shape: Annotated[str, typer.Option("--input", help="CHANNELSxHEIGHTxWIDTH, for example 3x224x224.")],
    mean: Annotated[str, typer.Option(help="Per channel, after scaling, separated by commas.")] = "0",
    std: Annotated[str, typer.Option(help="Per channel, after scaling, separated by commas.")] = "1",
    scale: Annotated[float, typer.Option(help="Factor on pixels 0..255 before mean and std.")] = 1 / 255,
    resize: Annotated[Resize, typer.Option(help="How a picture of another shape is fitted.")] = "crop",
    crop_fraction: Annotated[float, typer.Option(help="Share of the picture that a crop keeps.")] = 1.0,
    interpolation: Annotated[Interpolation, typer.Option(help="How pictures are resized.")] = "bilinear",
    task: Annotated[Task, typer.Option(help="What the logits mean.")] = "multiclass",
    models: Models = MADE,
    version: Version = None,
) -> None:
    """Publish any PyTorch module with its weights."""
    from model import importing, publish, release, summary

    channels, height, width = _shape(shape)
    wanted = Spec(
        name=name,
        channels=channels,  # type: ignore[arg-type]  # checked below
        height=height,
        width=width,
        labels=importing.read_labels(labels),
        task=task,
        preprocess=Preprocess(
            resize=resize,
            crop_fraction=crop_fraction,
            interpolation=interpolation,
            scale=scale,
            mean=_numbers("mean", mean),
            std=_numbers("std", std),
        ),
        facts={"imported": f"{factory} with {weights.name}"},
    )
    spec = from_json(to_json(wanted))  # parsing checks every bound
    net = importing.build(factory)
    importing.load_weights(net, weights)
    made = release.release(net, spec, importing.read_pictures(samples, spec))
    Console().print(summary.release(made.card, publish.publish(models, name, made.files, version)))


@app.command()
def photos(
    models: Models = MADE,
    pictures: Annotated[Path | None, typer.Option(help="folder to copy the photographs to")] = None,
) -> None:
    """Publish EfficientNet-Lite0 for ImageNet's 1000 classes (extra `photos`)."""
    from model import photos, publish, summary

    made = photos.make()
    if pictures is not None:
        photos.copy_photographs(pictures)
    Console().print(summary.release(made.card, publish.publish(models, made.card.name, made.files)))


def _shape(text: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"([13])x([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if match is None:
        raise InvalidInput("input", "must be CHANNELSxHEIGHTxWIDTH with 1 or 3 channels, such as 3x224x224", text)
    channels, height, width = map(int, match.groups())
    return channels, height, width


def _numbers(field: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise InvalidInput(field, "must be numbers separated by commas", text) from None
