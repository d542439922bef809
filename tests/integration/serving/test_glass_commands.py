"""`vitrine layers`, `features` and `explain` against a real server, as a person uses them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serving import Serving

DIGIT = Path(__file__).parents[3] / "model" / "pictures" / "digits" / "0.png"


@pytest.fixture
def vitrine(serve: Callable[..., Serving]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command against a server of `guide` and `digits`."""
    serving = serve("guide", "digits")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "service", *arguments, "--server", serving.grpc]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_the_worked_example_on_the_command_line(
    vitrine: Callable[..., subprocess.CompletedProcess[str]], nine: bytes, tmp_path: Path
) -> None:
    """The pixels 0 to 8 give 19 25 / 37 43 as a NumPy file, and four dot products to read."""
    (tmp_path / "nine.png").write_bytes(nine)
    picture, out = str(tmp_path / "nine.png"), tmp_path / "out"

    done = vitrine("features", "--model", "guide", "--layers", "conv", "--format", "npy", "--out", str(out), picture)
    places = [word for place in ("0,0,0", "0,0,1", "0,1,0", "0,1,1") for word in ("--at", place)]
    explained = vitrine("explain", "--model", "guide", "--layer", "conv", *places, picture)

    assert done.returncode == 0, done.stderr
    assert np.load(out / "conv.npy").tolist() == [[[[19, 25], [37, 43]]]]
    assert "conv.npy  [1, 1, 2, 2] float32" in done.stdout
    products = re.findall(r"\d+ x \d+ = (\d+)", explained.stdout)
    assert [int(product) for product in products] == [0, 1, 6, 12, 0, 2, 8, 15, 0, 4, 12, 21, 0, 5, 14, 24]
    assert re.findall(r"conv \[channel 0, y (\d), x (\d)\] = (\d+)", explained.stdout) == [
        ("0", "0", "19"), ("0", "1", "25"), ("1", "0", "37"), ("1", "1", "43"),
    ]  # fmt: skip


def test_a_whole_network_as_tree_pictures_and_report(
    vitrine: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Every module of `digits`: one line each, one sheet each, one section each of a page that loads nothing."""
    tree = vitrine("layers", "digits")
    sheets = vitrine("features", "--model", "digits", "--layers", "block.*", "--out", str(tmp_path), str(DIGIT))
    report = vitrine("features", "--model", "digits", "--format", "html", "--out", str(tmp_path), str(DIGIT))

    assert "│  ├─ conv1" in tree.stdout
    assert re.search(r"├─ stem +Conv2d +16 x 28 x 28 +3x3 pad 1 +3x3 +144 +113 k +stem_relu", tree.stdout)
    assert re.search(r"21 layers +168 k +6.43 M", tree.stdout)
    assert sheets.returncode == 0, sheets.stderr
    names = sorted(path.stem for path in tmp_path.glob("*.png"))
    assert names == [f"block.{name}" for name in ("activation", "conv1", "conv2", "norm1", "norm2", "relu1")]
    with Image.open(tmp_path / "block.conv1.png") as sheet:
        assert (sheet.format, sheet.mode) == ("PNG", "P")
    page = (tmp_path / "0-digits.html").read_text()
    assert report.stdout.splitlines()[0] == str(tmp_path / "0-digits.html")
    assert page.count("<section") == 21
    assert "99.93 %" in page
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)


def test_mistakes_are_one_line(vitrine: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """The nearest layers, or what is wrong with a place; exit code 2."""
    out = str(tmp_path / "out")
    layer = vitrine("features", "--model", "digits", "--layers", "blok", "--out", out, str(DIGIT))
    place = vitrine("explain", "--model", "digits", "--layer", "stem", "--at", "a,b", str(DIGIT))

    assert (layer.returncode, place.returncode) == (2, 2)
    assert layer.stderr == "vitrine: layer: none is called 'blok'; nearest are block, block.relu1, block.norm2\n"
    assert place.stderr == "vitrine: at: CHANNEL,Y,X or CHANNEL, got 'a,b'\n"
    assert not (tmp_path / "out").exists()
