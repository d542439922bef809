"""The command `vitrine-model`: from a recipe to a published model."""

from __future__ import annotations

import logging
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model import attribution, checkpoint, data, describe, importing, photos, published, recipe, reference, runs, train
from model.card import Card
from model.compare import difference_table, differences, published_network, torch_network
from model.evaluate import Evaluation, evaluate
from model.int8 import Calibration, release_int8
from model.profile import add_profile
from model.publish import publish
from model.release import Release, release
from service.core.errors import InvalidInput, NoSuchModel, ServiceError
from service.core.manifest import MANIFEST_FILE, MODEL_FILE
from service.core.messages import ModelKey
from service.core.spec import Interpolation, Preprocess, Resize, Spec, Task, from_json, to_json
from service.engine.store import VERSION, ModelStore, StoredModel

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

DataRoot = Annotated[Path, typer.Option("--data", help="Folder that holds the datasets.")]
Models = Annotated[Path, typer.Option("--models", help="Folder to publish into.")]
Version = Annotated[int | None, typer.Option(help="Version number; the next free one if not given.")]
Run = Annotated[Path, typer.Argument(help="A run's folder, its best.pt, or a recipe that holds its weights.")]

_ZOO = Path(__file__).with_name("zoo")
_DATA = Path("data")
_USAGE = 2
_SHOWN = 8


def main() -> None:
    """Entry point of the console script. Exit code 2 with one line for what the caller can mend."""
    # The exporter lists there every optional library that it could also export.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        app()
    except (ServiceError, OSError) as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(_USAGE)


@app.command(name="describe")
def show(
    path: Annotated[Path, typer.Argument(metavar="RECIPE|MODEL", help="A recipe, or a published MODELS/NAME/VERSION.")],
) -> None:
    """Print every layer: window, output size and its formula, parameters, MACs, receptive field."""
    if path.suffix == ".toml":
        Console().print(describe.table(recipe.load(path)))
        return
    stored = open_version(path)
    Console().print(published.table(published.layers(stored.model, stored.spec), str(stored.key)))


@app.command(name="data")
def fetch(
    name: Annotated[str, typer.Argument(help="mnist or fashion.")],
    root: DataRoot = _DATA,
) -> None:
    """Fetch a known dataset with npm and verify its checksum."""
    Console().print(f"{name} is in {data.fetch(name, root)}")


@app.command(name="train")
def fit(
    path: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe's TOML file.")],
    run_dir: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME if not given.")] = None,
    root: DataRoot = _DATA,
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
) -> None:
    """Train a recipe; the best checkpoint by validation accuracy is kept."""
    made = recipe.load(path)
    best = train.fit(made, run_dir or Path("runs") / made.name, data_root=root, resume=resume)
    chosen = checkpoint.read_best(best)
    Console().print(f"{best}: epoch {chosen.epoch}, validation accuracy {chosen.accuracy:.2%}")


@app.command(name="evaluate")
def judge(
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="A published version: MODELS/NAME/VERSION.")],
    path: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe whose test split to use.")],
    root: DataRoot = _DATA,
) -> None:
    """Measure a published file on the test split of a recipe's data."""
    stored, made = open_version(folder), recipe.load(path)
    if made.head.labels != stored.spec.labels:
        raise InvalidInput("recipe.head.labels", f"must be those of {stored.key}", ", ".join(made.head.labels))
    test = data.load(made, root).test
    if test is None:
        raise InvalidInput("recipe.data", "must have a test split", made.name)
    test = runs.as_served(test, stored.spec)
    result = evaluate(reference.logits(stored.model, test.pixels), test.targets, stored.spec)
    Console().print(quality_table(f"{stored.key} on the test split of {made.name}", result))
    Console().print(
        f"accuracy {result.accuracy:.2%} of {result.images:,}, calibration error {result.calibration_error:.4f}"
    )


@app.command()
def export(
    run: Run,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The ONNX file to write.")],
    root: DataRoot = _DATA,
) -> None:
    """Write only the ONNX file of a run, through the same gate as `publish`."""
    made = _release(run, root)
    checkpoint.write_bytes(target, made.files[MODEL_FILE])
    Console().print(_summary(made.card, target))


@app.command(name="publish")
def put(run: Run, models: Models = _ZOO, version: Version = None, root: DataRoot = _DATA) -> None:
    """Export a run, prove it, measure it on the test split, and publish it."""
    made = _release(run, root)
    Console().print(_summary(made.card, publish(models, made.card.name, made.files, version)))


@app.command(name="quantize")
def shrink(
    model: Annotated[
        str, typer.Argument(metavar="MODEL[:VERSION]", help="An fp32 version; the newest one if not given.")
    ],
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="A folder of pictures, or a recipe, whose test split then judges; the stored samples if not given."
        ),
    ] = None,
    models: Models = _ZOO,
    version: Version = None,
    root: DataRoot = _DATA,
) -> None:
    """Publish the INT8 variant of a version, calibrated on real pictures, as the next version."""
    stored = open_named(model, models)
    made = release_int8(stored, _calibration(stored, calibration, root))
    Console().print(_summary(made.card, publish(models, stored.key.name, made.files, version)))


@app.command(name="compare")
def contrast(
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="A published version: MODELS/NAME/VERSION.")],
    other: Annotated[
        Path, typer.Argument(metavar="OTHER", help="Another version, or the run, checkpoint or recipe in PyTorch.")
    ],
    threshold_db: Annotated[float, typer.Option(help="A layer below this diverges.")] = 60.0,
) -> None:
    """Show layer by layer how far a version is from another one, or from its network in PyTorch."""
    stored = open_version(folder)
    with_whom = published_network(open_version(other)) if (other / MANIFEST_FILE).is_file() else torch_network(other)
    found = differences(published_network(stored), with_whom, stored.samples().pixels, threshold_db)
    Console().print(difference_table(found))


@app.command(name="profile")
def remember(
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="A published version: MODELS/NAME/VERSION.")],
) -> None:
    """Store beside a version what its layers give on its samples, for `vitrine diagnose`; the model file stays."""
    stored = open_version(folder)
    written = add_profile(stored)
    Console().print(f"{stored.key}: {written.images:,} pictures, {len(written.quantiles)} layers")


@app.command(name="attribution")
def differentiate(
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="A published version: MODELS/NAME/VERSION.")],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The ONNX file to write.")],
    layer: Annotated[str, typer.Option(help="Id of the layer; the last map that everything goes through.")] = "",
) -> None:
    """Write Grad-CAM, HiResCAM and LayerCAM of a published model as one ONNX file, for any runtime.

    The server needs no such file: `vitrine attribute` works with every published model as it is.
    """
    stored = open_version(folder)
    made, chosen = attribution.attribution(stored.model, published.layers(stored.model, stored.spec), layer)
    checkpoint.write_bytes(target, made)
    Console().print(f"{target}: {', '.join(attribution.MAPS)} at {chosen.id} {list(chosen.type.shape)}")
    Console().print(f"inputs {' and '.join(attribution.INPUTS)}; sha256 {sha256(made).hexdigest()}", soft_wrap=True)


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
    models: Models = Path("runs/models"),
    version: Version = None,
) -> None:
    """Publish any PyTorch module with its weights."""
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
    made = release(net, spec, importing.read_pictures(samples, spec))
    Console().print(_summary(made.card, publish(models, name, made.files, version)))


@app.command(name="photos")
def photographs(
    models: Models = Path("runs/models"),
    pictures: Annotated[Path | None, typer.Option(help="folder to copy the photographs to")] = None,
) -> None:
    """Publish EfficientNet-Lite0 for ImageNet's 1000 classes (extra `photos`)."""
    made = photos.make()
    if pictures is not None:
        photos.copy_photographs(pictures)
    Console().print(_summary(made.card, publish(models, made.card.name, made.files)))


def open_version(folder: Path) -> StoredModel:
    """Open and verify MODELS/NAME/VERSION. Raises `InvalidInput` or what the store raises."""
    folder = folder.resolve()
    if not VERSION.fullmatch(folder.name):
        raise InvalidInput("model", "must be the folder of a version, MODELS/NAME/VERSION", folder)
    return ModelStore(folder.parent.parent).open(ModelKey(folder.parent.name, int(folder.name)))


def open_named(text: str, models: Path) -> StoredModel:
    """Open and verify NAME or NAME:VERSION below `models`. Raises `InvalidInput`, `NoSuchModel` or `BrokenModel`."""
    name, _, number = text.partition(":")
    store = ModelStore(models)
    if not number:
        there = store.versions().get(name)
        if not there:
            raise NoSuchModel(f"no model {name!r} in {models}")
        return store.open(ModelKey(name, there[-1]))
    if not VERSION.fullmatch(number):
        raise InvalidInput("version", "must be a positive integer", repr(number))
    return store.open(ModelKey(name, int(number)))


def _calibration(stored: StoredModel, source: Path | None, root: Path) -> Calibration:
    """The pictures to quantise with: those of a folder, of a recipe's training split, or the version's samples."""
    if source is None:
        return Calibration(stored.samples().pixels, f"the samples stored with {stored.key}")
    if source.is_dir():
        return Calibration(importing.read_pictures(source, stored.spec).real, f"the folder {source.name}")
    made = recipe.load(source)
    if made.head.labels != stored.spec.labels:
        raise InvalidInput("recipe.head.labels", f"must be those of {stored.key}", ", ".join(made.head.labels))
    splits = data.load(made, root)
    assert made.data is not None
    test = None if splits.test is None else runs.as_served(splits.test, stored.spec)
    name = made.data.path
    return Calibration(splits.train.pixels, f"the training split of {name}", test, f"the test split of {name}")


def quality_table(title: str, result: Evaluation) -> Table:
    """Per-class quality."""
    table = Table("label", "images", "precision", "recall", "F1", title=title)
    for c in result.classes:
        table.add_row(c.label, f"{c.support:,}", f"{c.precision:.4f}", f"{c.recall:.4f}", f"{c.f1:.4f}")
    return table


def _release(run: Path, root: Path) -> Release:
    candidate = runs.load(run, root)
    return release(candidate.net, candidate.spec, candidate.pictures)


def _summary(card: Card, written: Path) -> Table:
    table = Table(title=f"{card.name} -> {written}", show_header=False)
    table.add_row("file", f"{card.size.file_bytes:,} bytes, sha256 {card.digest[:16]}...")
    if card.parity:
        table.add_row("against PyTorch", f"{card.parity.max_abs_logit_difference:.2g} on {card.parity.images:,} images")
    if card.quantisation:
        made = card.quantisation
        table.add_row("int8 of", f"{made.source}, calibrated on {made.calibrated_on:,} pictures: {made.calibration}")
        table.add_row("against fp32", f"same answer on {made.same_decisions:,} of {made.images:,} pictures")
        if made.accuracy_before is not None:
            table.add_row("accuracy of fp32", f"{made.accuracy_before:.2%}")
    if card.quality:
        test = card.quality.test
        table.add_row("accuracy", f"{test.accuracy:.2%} on {test.images:,} images of {card.quality.split}")
        before = card.quality.calibration_error_before
        table.add_row("calibration error", f"{before:.4f} -> {test.calibration_error:.4f} (t = {card.temperature:.3f})")
    for example in card.examples[:_SHOWN]:
        table.add_row(example.picture, ", ".join(f"{p.label} {p.score:.1%}" for p in example.predictions))
    return table


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
