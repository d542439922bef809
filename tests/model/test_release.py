"""Stories about a whole release: what lies in the folder of a version, and whether the server can use it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model import card, reference
from model.data import Images
from model.publish import publish
from model.release import Pictures, Release, evenly, macs, release
from service.core.errors import Refused
from service.core.messages import ModelKey
from service.core.spec import Spec
from service.engine.store import ModelStore

pytestmark = pytest.mark.train


class Brightness(nn.Module):
    """Tells dark from bright pictures, a little too sure of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flat = nn.Flatten()
        self.fc = nn.Linear(2, 2)
        with torch.no_grad():
            for weight in self.parameters():
                weight.zero_()
            self.conv.weight[1, 0, 1, 1] = 1
            self.fc.weight.copy_(torch.tensor([[0, -60], [0, 60]]))
            self.fc.bias.copy_(torch.tensor([30, -30]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fc(self.flat(self.pool(self.conv(x))))
        return out


def pictures(count: int, seed: int) -> Images:
    """Noise around a random grey; it is called bright by chance in the middle."""
    rng = np.random.default_rng(seed)
    level = rng.integers(40, 216, count)
    pixels = np.clip(level[:, None, None, None] + rng.integers(-9, 10, (count, 8, 8, 1)), 0, 255).astype(np.uint8)
    return Images(pixels, (level + rng.normal(0, 20, count) > 127).astype(np.int64))


@pytest.fixture(scope="module")
def released() -> Release:
    spec = Spec("toy", 1, 8, 8, ("dark", "bright"), facts={"dataset": "synthetic"})
    validation = pictures(600, 1)
    return release(Brightness(), spec, Pictures(validation.pixels, validation, pictures(400, 2), "synthetic pictures"))


def test_the_server_accepts_what_was_released(released: Release, tmp_path: Path) -> None:
    """Verified by digest, with its spec, and the stored logits are those of the file."""
    publish(tmp_path, "toy", released.files)

    stored = ModelStore(tmp_path).open(ModelKey("toy", 1))
    samples = stored.samples()

    assert stored.digest == released.card.digest
    assert stored.spec.temperature == released.card.temperature
    assert stored.spec.facts["accuracy"].endswith("% on 400 images of synthetic pictures")
    assert samples.pixels.shape == (256, 8, 8, 1)
    np.testing.assert_array_equal(samples.logits, reference.logits(stored.model, samples.pixels))


def test_the_temperature_is_fitted_on_validation_and_judged_on_test(released: Release) -> None:
    """The network was built too sure: it is cooled down by a temperature above 1, and the error falls."""
    quality = released.card.quality
    assert quality is not None

    assert released.card.temperature > 1.2
    assert quality.calibrated_on == 600
    assert quality.test.images == 400
    assert quality.test.calibration_error < quality.calibration_error_before


def test_the_card_says_what_was_measured(released: Release) -> None:
    """For people: numbers, table and plots, all of which are there."""
    page = released.files["card.md"].decode()
    quality = released.card.quality
    assert quality is not None

    for words in (
        "# toy",
        "8x8 grey",
        "26 parameters",
        f"**Accuracy {quality.test.accuracy:.2%}**",
        "400 images that took no part in training",
        f"sha256 {released.card.digest}",
        "same answer on 600 of 600 images",
        "| dataset | synthetic |",
        "torch 2.13.0",
    ):
        assert words in page
    assert [line for line in page.splitlines() if line.startswith("![")] == [
        "![Confusion matrix](confusion.png)",
        "![Reliability diagram](reliability.png)",
    ]
    assert all(released.files[name].startswith(b"\x89PNG") for name in ("confusion.png", "reliability.png"))


def test_the_card_can_be_read_by_programs(released: Release) -> None:
    """The same values, from JSON."""
    assert card.from_json(released.files["card.json"]) == released.card


def test_without_labels_there_is_no_accuracy() -> None:
    """An import is proved and described, but nothing is claimed about it."""
    spec = Spec("toy", 1, 8, 8, ("dark", "bright"))
    shown = Pictures(pictures(2, 3).pixels, names=("first.png", "second.png"))

    made = release(Brightness(), spec, shown)

    assert made.card.quality is None
    assert [example.picture for example in made.card.examples] == ["first.png", "second.png"]
    assert made.files.keys() == {"model.onnx", "samples.npz", "profile.npz", "card.md", "card.json"}
    assert b"Accuracy was not measured" in made.files["card.md"]


def test_nothing_is_released_from_a_file_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate is in the way of every release: here the network changes after its export."""
    net = Brightness()
    exported = release.__globals__["export"]

    def export_then_change(*args: object) -> object:
        result = exported(*args)
        with torch.no_grad():
            net.fc.bias[0] += 0.01
        return result

    monkeypatch.setitem(release.__globals__, "export", export_then_change)

    with pytest.raises(Refused, match=r"max abs logit difference 0\.01"):
        release(net, Spec("toy", 1, 8, 8, ("dark", "bright")), Pictures(pictures(5, 4).pixels))


def test_samples_are_spread_over_the_whole_data() -> None:
    """Data sorted by class still shows every class."""
    pixels = np.repeat(np.arange(10, dtype=np.uint8), 100).reshape(-1, 1, 1, 1)

    assert [int(value) for value in evenly(pixels, 10).ravel()] == list(range(10))
    assert evenly(pixels, 5000) is pixels


def test_multiply_accumulates_are_counted() -> None:
    """8 * 8 positions * 2 filters * 9 weights, and 2 * 2 in the dense layer."""
    assert macs(Brightness(), Spec("toy", 1, 8, 8, ("dark", "bright"))) == 8 * 8 * 2 * 9 + 4
