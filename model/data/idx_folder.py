"""A folder of IDX files named as those of MNIST."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.data import idx
from model.data.npm import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from model.data.splits import Images, Splits, held_out
from model.recipe import Idx, Recipe
from service.core.errors import InvalidInput
from service.core.image import prepare


def load_idx(data: Idx, recipe: Recipe, folder: Path) -> Splits:
    """Read the train files, and the test files if they are there. Raises `InvalidInput`, see `model.data.load`."""
    if recipe.head.type != "softmax":
        raise InvalidInput("recipe.head.type", "IDX labels are class numbers, so it must be softmax", recipe.head.type)
    train = _read(folder, TRAIN_IMAGES, TRAIN_LABELS, recipe)
    held = held_out(train.targets.astype(np.int64), data.validation)
    has_test = any((folder / f"{TEST_IMAGES}{suffix}").is_file() for suffix in ("", ".gz"))
    test = _read(folder, TEST_IMAGES, TEST_LABELS, recipe) if has_test else None
    return Splits(train[~held], train[held], test)


def _read(folder: Path, images: str, labels: str, recipe: Recipe) -> Images:
    pixels = idx.read(_existing(folder, images))
    targets = idx.read(_existing(folder, labels))
    if pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
        raise InvalidInput(images, "must be [N, height, width] or [N, height, width, 1 or 3]", list(pixels.shape))
    if targets.shape != pixels.shape[:1]:
        raise InvalidInput(labels, f"must hold one label per image, [{len(pixels)}]", list(targets.shape))
    if targets.size and targets.max() >= len(recipe.head.labels):
        raise InvalidInput(labels, f"must be below {len(recipe.head.labels)}, the number of labels", targets.max())
    spec = recipe.spec()
    if pixels.shape[1:] != spec.shape:
        pixels = np.stack([prepare(picture, spec) for picture in pixels])
    return Images(pixels, targets.astype(np.int64))


def _existing(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise InvalidInput("recipe.data.path", f"must hold {name}; `vitrine-model data` fetches known sets", folder)
