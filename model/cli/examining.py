"""`vitrine-model compare`, `profile` and `attribution`: what is inside published versions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model.cli.parameters import Folder

app = typer.Typer()


@app.command()
def compare(
    folder: Folder,
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="Another version, or the run, checkpoint or recipe in PyTorch.")
    ],
    threshold_db: Annotated[float, typer.Option(help="A layer below this diverges.")] = 60.0,
) -> None:
    """Show layer by layer how far a version is from another one, or from its network in PyTorch."""
    from model import compare, versions
    from service.core.manifest import MANIFEST_FILE

    stored = versions.at(folder)
    is_version = (other / MANIFEST_FILE).is_file()
    with_whom = compare.published_network(versions.at(other)) if is_version else compare.torch_network(other)
    samples = stored.samples().pixels
    found = compare.differences(compare.published_network(stored), with_whom, samples, threshold_db)
    Console().print(compare.difference_table(found))


@app.command()
def profile(folder: Folder) -> None:
    """Store beside a version what its layers give on its samples, for `vitrine diagnose`; the model file stays."""
    from model import profile, versions

    stored = versions.at(folder)
    written = profile.add_profile(stored)
    Console().print(f"{stored.key}: {written.images:,} pictures, {len(written.quantiles)} layers")


@app.command()
def attribution(
    folder: Folder,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The ONNX file to write.")],
    layer: Annotated[str, typer.Option(help="Id of the layer; the last map that everything goes through.")] = "",
) -> None:
    """Write Grad-CAM, HiResCAM and LayerCAM of a published model as one ONNX file, for any runtime.

    The server needs no such file: `vitrine attribute` works with every published model as it is.
    """
    from hashlib import sha256

    from model import attribution, checkpoint, published, versions

    stored = versions.at(folder)
    made, chosen = attribution.attribution(stored.model, published.layers(stored.model, stored.spec), layer)
    checkpoint.write_bytes(target, made)
    Console().print(f"{target}: {', '.join(attribution.MAPS)} at {chosen.id} {list(chosen.type.shape)}")
    Console().print(f"inputs {' and '.join(attribution.INPUTS)}; sha256 {sha256(made).hexdigest()}", soft_wrap=True)
