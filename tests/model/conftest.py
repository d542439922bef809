"""What the training tests share: a tiny dataset on disk, and recipes written as TOML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.data import idx
from model.data.npm import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS

TINY = """
name = "tiny"
seed = {seed}
input = {{ channels = 1, height = 8, width = 8 }}
data = {{ type = "idx", path = "tiny", validation = 0.25 }}
head = {{ type = "softmax", labels = ["top", "middle", "bottom"] }}
layers = [
    {{ type = "conv", filters = 4, kernel = 3, padding = "same" }},
    {norm}
    {{ type = "relu" }},
    {{ type = "flatten" }},
    {dropout}
    {{ type = "dense", units = 3 }},
]

[training]
epochs = {epochs}
batch = 16
ema = {ema}
threads = 1
checkpoint_steps = {checkpoint_steps}
optimizer = {{ type = "sgd", rate = {rate} }}
schedule = {{ type = "cosine", warmup = 0.1 }}
augment = [
    {{ type = "affine", shift = 0.5, elastic = 0.2 }},
    {{ type = "flip" }},
    {{ type = "erase", area = [0.02, 0.1] }},
]
"""

Tiny = Callable[..., str]


@pytest.fixture
def tiny() -> Tiny:
    """TOML of a recipe that learns the tiny dataset; keywords override single values."""

    def fill(*, layers: bool = True, **values: float) -> str:
        settings = {"seed": 7, "epochs": 3, "ema": 0.9, "checkpoint_steps": 4, "rate": 0.05} | values
        extra = {"norm": '{ type = "batch_norm" },', "dropout": '{ type = "dropout", rate = 0.2 },'}
        return TINY.format(**settings, **(extra if layers else dict.fromkeys(extra, "")))

    return fill


@pytest.fixture
def tiny_data(tmp_path: Path) -> Path:
    """A data root with `tiny`: 192 train and 48 test pictures of 8 x 8, a bright bar in one of three places.

    The first pixel of each picture is its number, so that a test can tell which pictures it sees.
    """
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    for images, labels, count in ((TRAIN_IMAGES, TRAIN_LABELS, 192), (TEST_IMAGES, TEST_LABELS, 48)):
        pixels = np.random.default_rng(count).integers(0, 120, (count, 8, 8), dtype=np.uint8)
        targets = np.arange(count, dtype=np.uint8) % 3
        pixels[np.arange(count), 1 + 2 * targets] = 250
        pixels[:, 0, 0] = np.arange(count)
        (folder / images).write_bytes(idx.dump(pixels))
        (folder / labels).write_bytes(idx.dump(targets))
    return folder.parent
