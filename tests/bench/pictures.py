"""The pictures that the benches send, and the models they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bench.ceiling import newest


def photograph(folder: Path) -> Path:
    """A JPEG of 500x375 pixels: scikit-learn's photograph of a temple, about 46 kB."""
    from sklearn import datasets  # noqa: PLC0415 - slow to import, and needed by one bench

    path = folder / "photograph.jpg"
    with Image.open(Path(datasets.__file__).parent / "images" / "china.jpg") as image:
        image.resize((500, 375), Image.Resampling.LANCZOS).save(path, quality=80)
    return path


def digit(folder: Path, zoo: Path) -> Path:
    """A 28x28 PNG: the first of the samples stored beside `digits`."""
    path = folder / "digit.png"
    key = newest(zoo, "digits")
    with np.load(zoo / key.name / str(key.version) / "samples.npz") as samples:
        Image.fromarray(samples["pixels"][0, :, :, 0]).save(path)
    return path


def publish_photos(models: Path) -> None:
    """Publish EfficientNet-Lite0 into `models`, unless it is there."""
    if not (models / "efficientnet-lite0").exists():
        subprocess.run([sys.executable, "-m", "model", "photos", "--models", str(models)], check=True)
