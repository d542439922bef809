"""`vitrine diagnose`, `compare` and `profile` against a real server, as a person uses them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving import starter

DIGIT = Path(__file__).parents[3] / "model" / "pictures" / "digits" / "0.png"


@pytest.fixture(scope="module")
def vitrine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs a command against one server of `guide` and `digits`."""
    with starter(tmp_path_factory.mktemp("examined")) as serve:
        serving = serve("guide", "digits")

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "service", *arguments, "--server", serving.grpc]
            return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

        yield run


def test_the_shipped_digits_are_well(vitrine: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """On their own samples, against the profile that is shipped: no layer has a finding."""
    done = vitrine("diagnose", "digits:1", "--layers", "*_relu")

    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^ *(\S+_relu) +ReLU +\S.*?(\d\.\d\d) *$", done.stdout, re.MULTILINE)
    assert [name for name, _ in rows] == ["stem_relu", "down1_relu", "down2_relu", "down3_relu"]
    assert all(float(distance) < 0.1 for _, distance in rows)
    assert "no NaN and no infinities" in done.stdout
    assert "digits:1 fp32 on 256 stored samples" in done.stdout


def test_one_picture_is_too_little_for_drift(vitrine: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """The table is there, and says what cannot be concluded."""
    done = vitrine("diagnose", "digits", str(DIGIT), "--layers", "stem_relu")

    assert "drift: 1 images against 256 are too few to conclude anything" in done.stdout


def test_a_model_is_no_further_from_itself_than_nothing(
    vitrine: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Every ratio is infinite, and nothing diverges."""
    done = vitrine("compare", "digits:1", "digits", "--layers", "down*")

    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"\binf\b", done.stdout)) >= 9
    assert "no layer diverges: all are above 60 dB" in done.stdout
    assert "same best class on 100.00% of the pictures" in done.stdout


def test_the_time_of_each_layer_adds_up(vitrine: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """All shares together are the whole, and fused layers are named together."""
    done = vitrine("profile", "digits", "--runs", "3", "--batch", "2")

    assert done.returncode == 0, done.stderr
    shares = [float(share) for share in re.findall(r"(\d+\.\d)%", done.stdout)]
    assert sum(shares) == pytest.approx(100, abs=1)
    assert "stem + stem_norm + stem_relu" in done.stdout
    assert "batch 2, 3 runs" in done.stdout


def test_mistakes_are_one_line(vitrine: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """What was asked for and is not there, with what is."""
    missing = vitrine("diagnose", "digits", "--layers", "down9")
    apart = vitrine("compare", "digits", "guide")

    assert missing.returncode == apart.returncode == 2
    assert missing.stderr.startswith("vitrine: layer: none is called 'down9'; nearest are down")
    assert apart.stderr == ("vitrine: pictures: needed, since the samples of digits:1 do not fit guide:1, got none\n")
