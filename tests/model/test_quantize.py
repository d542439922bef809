"""Stories about INT8 variants: what is quantised, what is kept, what it says about its layers, and the gate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model import card, published, reference
from model.cli import main
from model.data import Images
from model.int8 import Calibration, release_int8
from model.quantize import quantise
from service.core.errors import InvalidInput, Refused
from service.core.messages import ModelKey
from service.core.quantised import integers
from service.engine import graph
from service.engine.store import ModelStore, StoredModel
from tests import nets

pytestmark = pytest.mark.train

ZOO = Path(__file__).parents[2] / "model" / "zoo"


def random_pixels(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, nets.HEIGHT, nets.WIDTH, 3), np.uint8)


@pytest.mark.parametrize("name", sorted(nets.NETS))
def test_an_int8_network_answers_nearly_alike(name: str) -> None:
    """Its logits on pictures that did not set the ranges are within a fiftieth of theirs."""
    model, spec = nets.exported(name)

    small, _ = quantise(model, spec, random_pixels(64))

    before, after = (reference.logits(each, random_pixels(32, seed=1)) for each in (model, small))
    assert 0 < np.linalg.norm(after - before) < np.linalg.norm(before) / 50


def test_a_layer_keeps_its_name_and_a_folded_one_says_where_it_went() -> None:
    """Convolution and batch norm went into the ReLU behind them; sums and what has no batch norm behind are there."""
    _, spec = quantise(*nets.exported("residual"), random_pixels(64))

    assert spec.variant == "int8"
    assert [layer.id for layer in spec.layers] == ["act", "act#1", "conv2", "down", "act#2", "pool", "fc"]
    assert spec.folded == {"stem": "act", "stem.0": "act", "stem.1": "act", "conv1": "act#1", "bn1": "act#1"}


def test_no_layer_points_to_a_float_inside_a_fused_group() -> None:
    """`relu` is now what goes into the ReLU, since the quantiser took that out: the layer is the integers behind it."""
    small, spec = quantise(*nets.exported("residual"), random_pixels(64))

    stored = integers(graph.read(small))
    act = next(layer for layer in spec.layers if layer.id == "act")
    assert act.tensor == "relu_DequantizeLinear_Output"
    assert stored[act.tensor].tensor == "relu_QuantizeLinear_Output"
    assert act.inputs == ("add_20_DequantizeLinear_Output",)


def test_pixels_are_normalised_and_logits_told_in_floats() -> None:
    """No logit is a multiple of a common step, as integers of 8 bits would make it."""
    small, _ = quantise(*nets.exported("mobile"), random_pixels(64))

    ops = {node.output: node.op for node in graph.read(small).nodes}
    assert ops["logits"] == "Gemm"
    assert not any(name.startswith(("image", "mul_8_")) for name in integers(graph.read(small)))


def test_what_is_int8_already_is_not_quantised_again() -> None:
    """The variant in the spec says so."""
    small = quantise(*nets.exported("residual"), random_pixels(8))

    with pytest.raises(InvalidInput, match="must be an fp32 version, got one that is int8"):
        quantise(*small, random_pixels(8))


def test_a_variant_is_described_like_its_fp32_version() -> None:
    """Windows, sizes, parameters and costs of what its layers absorbed; batch norms left biases."""
    before = {row.id: row for row in published.layers(*nets.exported("residual"))}

    after = published.layers(*quantise(*nets.exported("residual"), random_pixels(8)))

    by_id = {row.id: row for row in after if row.named_by == "module"}
    assert [row.id for row in after if row.named_by == "module"] == [
        "act",
        "act#1",
        "down",
        "conv2",
        "act#2",
        "pool",
        "fc",
    ]
    assert by_id["act"].window == before["stem.0"].window
    assert by_id["act"].field == before["act"].field
    assert by_id["act#1"].macs == before["conv1"].macs
    assert by_id["fc"].parameters == before["fc"].parameters


@pytest.fixture(scope="module")
def digits() -> StoredModel:
    return ModelStore(ZOO).open(ModelKey("digits", 1))


def test_the_card_tells_what_the_variant_costs(digits: StoredModel) -> None:
    """Agreement with fp32, and both accuracies on the same test images."""
    samples = digits.samples()
    truth = Images(samples.pixels, samples.logits.argmax(axis=1))

    made = release_int8(digits, Calibration(samples.pixels, "the samples", truth, "what fp32 says"))

    told = card.from_json(made.files[card.CARD_JSON]).quantisation
    assert told is not None
    assert (told.source, told.source_digest, told.calibrated_on) == ("digits:1", digits.digest, 256)
    assert told.images == 256
    assert told.same_decisions >= 250
    assert told.accuracy_before == 1.0
    assert made.card.quality is not None
    assert made.card.quality.test.accuracy == told.same_decisions / 256
    assert len(made.files["model.onnx"]) < 0.3 * len(digits.model)
    assert "int8, from digits:1" in made.files[card.CARD_MARKDOWN].decode()


def test_a_variant_that_decides_otherwise_is_not_published(digits: StoredModel) -> None:
    """Ranges from black pictures fit no digit; nothing is written, and the message tells the numbers."""
    black = np.zeros((4, 28, 28, 1), np.uint8)
    seen = Images(digits.samples().pixels, digits.samples().logits.argmax(axis=1))

    with pytest.raises(Refused, match=r"digits:1: its INT8 variant decides alike on \d+ of 256 pictures"):
        release_int8(digits, Calibration(black, "black", seen, "the samples"))


def test_the_command_publishes_the_next_version(
    digits: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside the fp32 one, verified by digest, with logits of its own as samples."""
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "1").symlink_to(digits.folder)
    monkeypatch.setattr("sys.argv", ["vitrine-model", "quantize", "digits", "--models", str(tmp_path)])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 0
    stored = ModelStore(tmp_path).open(ModelKey("digits", 2))
    assert stored.spec.variant == "int8"
    assert stored.spec == dataclasses.replace(
        digits.spec, variant="int8", layers=stored.spec.layers, folded=stored.spec.folded
    )
    np.testing.assert_array_equal(stored.samples().logits, reference.logits(stored.model, digits.samples().pixels))
    assert "256 of 256 pictures" in " ".join(capsys.readouterr().out.split())
