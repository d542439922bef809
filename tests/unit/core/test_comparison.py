from __future__ import annotations

import math

import numpy as np
import pytest

from service.core.comparison import Compared, LayerDifference, first_diverging, linear_cka, sqnr_db, with_drops
from service.core.graph import Graph, Node, TensorType
from service.core.layers import LayerInfo

ONE = np.random.default_rng(0).normal(0, 1, (6, 3, 4, 5)).astype(np.float32)


def compared(one: np.ndarray, other: np.ndarray, keep_bytes: int = 1 << 20) -> LayerDifference:
    tally = Compared("x", keep_bytes)
    tally.add(one[:4], other[:4])
    tally.add(one[4:], other[4:])
    return tally.result()


def test_equal_values_have_no_noise() -> None:
    """An infinite ratio, a cosine and an alignment of 1."""
    found = compared(ONE, ONE)

    assert (found.max_abs, found.relative, found.sqnr_db) == (0.0, 0.0, math.inf)
    assert found.cosine == pytest.approx(1)
    assert found.cka == pytest.approx(1)
    assert (found.shape, found.other_shape, found.cka_images) == ((3, 4, 5), (3, 4, 5), 6)


def test_noise_is_measured_against_the_first() -> None:
    """A tenth more everywhere is 20 decibels; the channel with a half more comes first."""
    other = ONE * 1.1
    other[:, 2] = ONE[:, 2] * 1.5

    found = compared(ONE, other)

    assert found.worst[0][0] == 2
    assert found.worst[0][1] == pytest.approx(20 * math.log10(2), abs=1e-3)
    assert found.worst[1][1] == pytest.approx(20, abs=1e-3)
    assert found.max_abs == pytest.approx(np.abs(other - ONE).max())
    assert found.relative == pytest.approx(np.linalg.norm(other - ONE) / np.linalg.norm(ONE))
    assert found.cosine == pytest.approx((ONE * other).sum() / np.linalg.norm(ONE) / np.linalg.norm(other))


def test_layers_of_other_shapes_are_compared_as_representations() -> None:
    """Twice the channels hold the same: unit by unit there is nothing to compare."""
    found = compared(ONE, np.concatenate([ONE, ONE], axis=1))

    assert math.isnan(found.sqnr_db)
    assert found.cka == pytest.approx(1)
    assert (found.shape, found.other_shape) == ((3, 4, 5), (6, 4, 5))


def test_only_so_many_representations_are_kept() -> None:
    """A picture takes 240 bytes: three fit; two say nothing."""
    assert compared(ONE, ONE, keep_bytes=3 * 240).cka_images == 3
    assert math.isnan(compared(ONE, ONE, keep_bytes=2 * 240).cka)


def test_a_nan_on_one_side_is_a_difference() -> None:
    """It shows in every number, and has the lowest ratio there is."""
    other = ONE.copy()
    other[0, 1, 0, 0] = np.nan

    found = compared(ONE, other)

    assert math.isnan(found.max_abs)
    assert found.sqnr_db == -math.inf
    assert found.worst[0] == (1, -math.inf)


def test_against_silence_everything_is_noise() -> None:
    """And silence against silence is equal."""
    silence = np.zeros_like(ONE)

    assert compared(silence, ONE).relative == math.inf
    assert compared(silence, ONE).sqnr_db == -math.inf
    assert (compared(silence, silence).relative, compared(silence, silence).sqnr_db) == (0.0, math.inf)
    assert math.isnan(compared(silence, silence).cosine)


def test_a_ratio_in_decibels() -> None:
    """A hundredth of the power is 20."""
    assert sqnr_db(100, 1) == pytest.approx(20)


def test_alignment_ignores_rotation_and_scale_and_sees_independence() -> None:
    """Kornblith et al. 2019: invariant to orthogonal maps and isotropic scaling, and nothing else."""
    rng = np.random.default_rng(1)
    x, other = rng.normal(0, 1, (200, 8)), rng.normal(0, 1, (200, 8))
    rotation, _ = np.linalg.qr(rng.normal(0, 1, (8, 8)))

    assert linear_cka(x, 7 * x @ rotation) == pytest.approx(1)
    assert linear_cka(x, other) < 0.1
    assert math.isnan(linear_cka(x, np.ones_like(x)))


def layer(tensor: str) -> LayerInfo:
    return LayerInfo(tensor, tensor, 0, "", "module", frozenset(), (), tensor, TensorType("float32", (1,)), ())


def difference(id_: str, ratio: float) -> LayerDifference:
    return LayerDifference(id_, (1,), (1,), 0, 0, 1, ratio, 1, 3)


#: a and b are computed from the image, x from both, y from x past something that is not compared.
NETWORK = Graph(
    tuple(
        Node(output, "Op", tuple(inputs.split()), (output,))
        for inputs, output in [("image", "a"), ("image", "b"), ("a b", "x"), ("x", "hidden"), ("hidden a hidden", "y")]
    ),
    ("image",),
    ("y",),
    {},
    {},
)


def test_a_drop_is_against_the_worst_input() -> None:
    """Layer x lost 5 against b; y, past what is not compared, gained 5 on x; the first ones have no inputs."""
    layers = [layer(name) for name in ("a", "b", "x", "y")]
    found = {id_: difference(id_, ratio) for id_, ratio in (("a", 40), ("b", 30), ("x", 25), ("y", 30))}

    assert with_drops(NETWORK, layers, found) == {"x": 5, "y": -5}


def test_nothing_can_drop_from_infinity() -> None:
    """Where the inputs are equal there is no number for the loss."""
    layers = [layer(name) for name in ("image", "a", "x")]
    found = {"a": difference("a", math.inf), "x": difference("x", 20)}

    assert with_drops(NETWORK, layers, found) == {}


def test_the_first_diverging_layer_is_the_first_in_the_graph() -> None:
    """Below the threshold, or of another shape; none if all are above."""
    layers = [layer(name) for name in ("y", "x", "b", "a")]
    found = {id_: difference(id_, ratio) for id_, ratio in (("a", 40), ("b", 30), ("x", math.nan), ("y", 5))}

    assert first_diverging(NETWORK, layers, found, 35) == "b"
    assert first_diverging(NETWORK, layers, found, 20) == "x"
    assert first_diverging(NETWORK, layers[2:], found, 20) == ""
