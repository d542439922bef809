"""What can be released: the best checkpoint of a training run, or a recipe that holds all its weights itself."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from model import data, recipe
from model import net as nets
from model.checkpoint import BEST, Best, read_best
from model.data import Images, Splits
from model.recipe import Idx, Recipe
from model.release import Pictures, Release, release
from model.run_log import METRICS
from service.core.errors import InvalidInput
from service.core.image import decode
from service.core.image_header import Limits
from service.core.spec import Spec

_RANDOM_PICTURES = 63


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network, its spec with the facts of its making, and what to check it on."""

    net: nn.Module
    spec: Spec
    pictures: Pictures

    def release(self) -> Release:
        """Its files, proved and measured. Raises what `release.release` raises."""
        return release(self.net, self.spec, self.pictures)


def load(path: Path, data_root: Path) -> Candidate:
    """Read a run's folder, a checkpoint (`.pt`) or a recipe (`.toml`), and the recipe's data below `data_root`.

    Raises `InvalidInput`, also for a recipe that needs training.
    """
    if path.suffix == ".toml":
        return _untrained(recipe.load(path))
    checkpoint = path / BEST if path.is_dir() else path
    if not checkpoint.is_file():
        raise InvalidInput("run", f"must be the folder of a run with {BEST}, a checkpoint or a recipe", path)
    return _trained(read_best(checkpoint), checkpoint, data_root)


def data_for(spec: Spec, path: Path, data_root: Path) -> tuple[Recipe, Splits]:
    """A recipe that has the labels of `spec`, and its data, the test split as the server would get it.

    Raises `InvalidInput`.
    """
    made = recipe.load(path)
    if made.head.labels != spec.labels:
        raise InvalidInput("recipe.head.labels", f"must be those of {spec.name}", ", ".join(made.head.labels))
    return made, _splits(made, spec, data_root)


def as_served(images: Images, spec: Spec) -> Images:
    """The images once through an encoded picture and the server's decoder, PNG since it changes no pixel."""
    pixels = np.stack([decode(_png(picture), spec, Limits()) for picture in images.pixels])
    return Images(pixels, images.targets)


def _trained(best: Best, checkpoint: Path, data_root: Path) -> Candidate:
    made = best.recipe
    assert made.data is not None
    spec = made.spec()
    splits = _splits(made, spec, data_root)
    test = splits.test
    counts = f"{len(splits.train):,} for training, {len(splits.validation):,} for validation"
    facts = {
        "dataset": f"{made.data.path}: {counts}, {0 if test is None else len(test):,} for the test",
        "training": _training(best, checkpoint.with_name(METRICS)),
        "seed": str(made.seed),
    }
    pictures = Pictures(splits.validation.pixels, splits.validation, test, f"the test split of {made.data.path}")
    return Candidate(best.net(), replace(spec, facts={**facts, **spec.facts}), pictures)


def _splits(made: Recipe, spec: Spec, data_root: Path) -> Splits:
    splits = data.load(made, data_root)
    # Pictures of a folder were decoded by the server's code already; IDX pixels were never encoded.
    if splits.test is None or not isinstance(made.data, Idx):
        return splits
    return replace(splits, test=as_served(splits.test, spec))


def _training(best: Best, metrics: Path) -> str:
    assert best.recipe.training is not None
    epochs = f"{best.recipe.training.epochs} epochs"
    chosen = f"epoch {best.epoch} chosen at {best.accuracy:.2%} on the validation split"
    if not metrics.is_file():
        return f"{epochs}, {chosen}"
    events = map(json.loads, metrics.read_text(encoding="utf-8").splitlines())
    *_, last = (event for event in events if event["event"] == "train")
    return f"{last['epoch']} of {epochs} in {last['seconds']:.0f} s, {chosen}"


def _untrained(made: Recipe) -> Candidate:
    if made.training is not None or made.data is not None:
        raise InvalidInput("run", "must be a trained one, since the recipe names training data", made.name)
    spec = made.spec()
    note = f"a ramp, and {_RANDOM_PICTURES} pictures of random pixels: there is no dataset"
    spec = replace(spec, facts={"checked on": note, **spec.facts})
    ramp = np.arange(np.prod(spec.shape), dtype=np.uint8).reshape(1, *spec.shape)
    random = np.random.default_rng(made.seed).integers(0, 256, (_RANDOM_PICTURES, *spec.shape), dtype=np.uint8)
    return Candidate(nets.build(made).eval(), spec, Pictures(np.concatenate([ramp, random])))


def _png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(target, "PNG", compress_level=1)
    return target.getvalue()
