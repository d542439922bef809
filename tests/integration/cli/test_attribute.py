"""`vitrine attribute` against a real network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import glass
from tests.fake_server import Running, running_server

pytestmark = pytest.mark.train

Attribute = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running_server(glass.introspector()) as running:
        yield running


@pytest.fixture
def attribute(server: Running, tmp_path: Path) -> Attribute:
    """Runs the command on the guide's picture; files are in the folder of the test."""
    (tmp_path / "nine.png").write_bytes(glass.guide_picture())

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "service", "attribute", "--model", "guide", "--server", server.address]
        return subprocess.run(
            [*command, *arguments, "nine.png"], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
        )

    return run


def test_numbers_are_written_and_told(attribute: Attribute, tmp_path: Path) -> None:
    """The third label's evidence is its own unit, and adds up to the logit."""
    done = attribute("--class", "c", "--out", "maps/c.npy", "--check")

    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "maps" / "c.npy").tolist() == [[0, 0], [37, 0]]
    assert "evidence for c by hirescam at conv (the head is linear, so that its parts add up)" in done.stdout
    assert "its sum 37 + bias 0 = 37; the logit is 37, off by 0" in done.stdout
    assert "3 random maps" in done.stdout


def test_a_picture_is_written(attribute: Attribute, tmp_path: Path) -> None:
    """Large enough to look at, with its legend."""
    done = attribute("--class", "c", "--versus", "a", "--out", "c.png")

    assert done.returncode == 0, done.stderr
    assert "evidence for c rather than a" in done.stdout
    assert done.stdout.splitlines()[-1] == "written: c.png"
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size == (282 + 92, 282 + 30)


def test_mistakes_are_one_line(attribute: Attribute, tmp_path: Path) -> None:
    """The kind of file, and what the server says."""
    unknown, wrong = attribute("--out", "c.jpg"), attribute("--class", "x", "--out", "c.npy")

    assert (unknown.returncode, wrong.returncode) == (2, 2)
    assert unknown.stderr == "vitrine: out: a file that ends in .png or .npy, got c.jpg\n"
    assert wrong.stderr.startswith("vitrine: target.label: a label of the model; nearest are ")
    assert list(tmp_path.glob("c.*")) == []
