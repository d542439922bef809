"""Stories about the command `vitrine-model`, run as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.cli import main
from model.data import idx
from service.core.messages import ModelKey
from service.engine.store import ModelStore

pytestmark = pytest.mark.train

ROOT = Path(__file__).parents[2]

TINY = """
name = "tiny"
seed = 3
[input]
channels = 1
height = 8
width = 8
[data]
type = "idx"
path = "bars"
validation = 0.25
[head]
type = "softmax"
labels = ["left", "right"]
[training]
epochs = 3
batch = 16
threads = 1
[training.optimizer]
type = "sgd"
rate = 0.1
[[layers]]
type = "conv"
name = "conv"
filters = 4
kernel = 3
padding = [0, 0, 1, 1]
[[layers]]
type = "relu"
name = "relu"
[[layers]]
type = "flatten"
name = "flatten"
[[layers]]
type = "dense"
name = "classes"
units = 2
"""


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`vitrine-model ARGUMENTS` in a folder, with a wide terminal."""

    def call(*arguments: object, cwd: Path) -> Done:
        monkeypatch.chdir(cwd)
        monkeypatch.setenv("COLUMNS", "160")
        monkeypatch.setattr(sys, "argv", ["vitrine-model", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return call


def bars(count: int, seed: int) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], ...]:
    """A bright bar in the left half (class 0) or the right half (class 1), in noise."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    pixels = rng.integers(0, 120, (count, 8, 8), dtype=np.uint8)
    for picture, column in zip(pixels, rng.integers(0, 4, count) + 4 * targets, strict=True):
        picture[:, column] = 255
    return pixels, targets.astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with a recipe and its data, and a run trained from them."""
    made = tmp_path_factory.mktemp("project")
    (made / "tiny.toml").write_text(TINY)
    (made / "data" / "bars").mkdir(parents=True)
    for name, count, seed in (("train", 256, 1), ("t10k", 100, 2)):
        pixels, targets = bars(count, seed)
        (made / "data" / "bars" / f"{name}-images-idx3-ubyte").write_bytes(idx.dump(pixels))
        (made / "data" / "bars" / f"{name}-labels-idx1-ubyte").write_bytes(idx.dump(targets))
    # In a process of its own, as a person does it: training sets the number of threads for its whole process.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    train = [sys.executable, "-m", "model", "train", "tiny.toml"]
    said = subprocess.run(train, cwd=made, env=environment, capture_output=True, text=True, check=True, timeout=300)
    assert "runs/tiny/best.pt: epoch " in said.stdout
    return made


def test_a_run_becomes_a_published_model(command: Command, folder: Path) -> None:
    """Train, publish, and the server's store opens it; the accuracy is measured on the test split."""
    done = command("publish", "runs/tiny", "--models", "models", cwd=folder)

    assert done.code == 0, done.err
    assert "tiny -> models/tiny/1" in done.out
    assert "on 100 images of the test split of bars" in done.out
    stored = ModelStore(folder / "models").open(ModelKey("tiny", 1))
    assert stored.spec.facts["dataset"] == "bars: 192 for training, 64 for validation, 100 for the test"
    assert stored.spec.facts["training"].startswith("3 of 3 epochs in ")
    assert stored.samples().pixels.shape == (64, 8, 8, 1)
    judged = command("evaluate", "models/tiny/1", "tiny.toml", cwd=folder)
    assert judged.code == 0, judged.err
    assert judged.out.splitlines()[-1].startswith(f"accuracy {stored.spec.facts['accuracy'].split()[0]} of 100")


def test_the_file_alone_can_be_exported(command: Command, folder: Path) -> None:
    """From the checkpoint itself; nothing else is written."""
    done = command("export", "runs/tiny/best.pt", "out.onnx", cwd=folder)

    assert done.code == 0, done.err
    assert (folder / "out.onnx").stat().st_size > 1000


def test_recipes_and_models_are_described(command: Command, folder: Path) -> None:
    """The formula with its numbers, from the recipe and from the published file."""
    command("publish", "runs/tiny", "--models", "described", cwd=folder)

    for source in ("tiny.toml", "described/tiny/1"):
        done = command("describe", source, cwd=folder)
        assert done.code == 0, done.err
        assert "floor((8+0+1-1*(3-1)-1)/1)+1 = 7" in done.out


def test_somebody_elses_network_is_imported(command: Command, tmp_path: Path) -> None:
    """A module of their own, weights, labels and pictures: one command."""
    (tmp_path / "theirs.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    weights = {"0.weight": torch.zeros(2, 3, 3, 3), "0.bias": torch.zeros(2)}
    weights["0.weight"][0, 0] = 1
    weights["0.weight"][1, 2] = 1
    torch.save(weights, tmp_path / "weights.pt")
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    (tmp_path / "pictures").mkdir()
    for name, colour in (("sky", (20, 60, 230)), ("tomato", (220, 30, 20))):
        Image.new("RGB", (50, 40), colour).save(tmp_path / "pictures" / f"{name}.png")

    options = "--name theirs --weights weights.pt --labels labels.txt --samples pictures --input 3x16x16 --models out"
    spread = "--mean 0.5,0.5,0.5 --std 0.2,0.2,0.2 --resize crop --crop-fraction 0.9 --interpolation bicubic"
    done = command("import", "theirs:make", *options.split(), *spread.split(), cwd=tmp_path)

    assert done.code == 0, done.err
    stored = ModelStore(tmp_path / "out").open(ModelKey("theirs", 1))
    assert (stored.spec.preprocess.mean, stored.spec.preprocess.interpolation) == ((0.5, 0.5, 0.5), "bicubic")
    sky, tomato = stored.samples().logits
    assert (sky.argmax(), tomato.argmax()) == (1, 0)
    card = (tmp_path / "out" / "theirs" / "1" / "card.md").read_text()
    assert "| sky.png | blue 100.0%" in card


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("publish", "nowhere"), "error: run: must be the folder of a run with best.pt"),
        (("describe", "nowhere.toml"), "No such file or directory: 'nowhere.toml'"),
        (("describe", "nowhere"), "error: model: must be the folder of a version, MODELS/NAME/VERSION"),
        (("evaluate", "nowhere/3", "tiny.toml"), "error: no model"),
        (("data", "imagenet"), "error: data: must be one of mnist, fashion, got imagenet"),
        (("train", "broken.toml"), "error: recipe: must be TOML"),
        (
            ("import", "a:b", "--name=x", "--weights=x", "--labels=x", "--samples=x", "--input=224"),
            "error: input: must be CHANNELSxHEIGHTxWIDTH with 1 or 3 channels, such as 3x224x224, got 224",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    """No traceback for what the caller can mend."""
    (tmp_path / "broken.toml").write_text("name = ")

    done = command(*arguments, cwd=tmp_path)

    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err


def test_help_is_there_at_once() -> None:
    """What only one command needs is imported by that command: torch takes seconds."""
    code = "import sys, model.cli; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert [name for name in ("torch", "onnx", "onnxruntime", "numpy", "PIL") if f"'{name}'" in loaded] == []
