from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from service.core.drift import Profile, quantiles
from service.core.graph import Graph, Node, TensorType
from service.core.health import Ends, Examined, LayerHealth, bad_weights, ends, first_bad, is_rectifier
from service.core.layers import LayerInfo, Role
from service.core.quantised import Integers


def layer(tensor: str, *ops: str, roles: tuple[Role, ...] = (), inputs: tuple[str, ...] = ()) -> LayerInfo:
    kind = TensorType("float32", (2, 1, 2))
    return LayerInfo(tensor, tensor, 0, "", "module", frozenset(roles), ops, tensor, kind, inputs)


def graph(*nodes: tuple[str, str, str], **constants: object) -> Graph:
    made = tuple(Node(output, op, tuple(inputs.split()), (output,)) for op, inputs, output in nodes)
    return Graph(made, ("image",), ("logits",), {name: np.asarray(value) for name, value in constants.items()}, {})


def seen(
    values: NDArray[np.floating], *ops: str, limits: Ends | None = None, profile: Profile | None = None
) -> LayerHealth:
    examined = Examined(layer("x", *ops), limits)
    examined.add(values[:1])
    examined.add(values[1:])
    return examined.report(profile)


#: Three pictures of two channels of 1 x 2.
VALUES = np.array([[[[0, 2]], [[0, 0]]], [[[4, 0]], [[0, 0]]], [[[6, 0]], [[0, 0]]]], np.float32)


def test_sums_over_pictures_are_those_of_all_values() -> None:
    """Added batch by batch."""
    health = seen(VALUES, "Relu")

    told = health.statistics
    assert (health.images, told.count, told.zeros, told.min, told.max, told.mean) == (3, 12, 9, 0, 6, 1)
    assert told.std == pytest.approx(VALUES.std())
    assert told.l2 == pytest.approx(math.sqrt(56))
    assert health.sparsity == 0.75
    assert (health.not_finite, health.saturation, health.saturated, health.drift) == (0, None, (), None)


def test_a_rectifier_is_silent_and_others_are_constant() -> None:
    """The second channel gave nothing but 0; of a convolution that is a value like any other."""
    assert (seen(VALUES, "Relu").silent, seen(VALUES, "Relu").constant) == ((1,), ())
    assert (seen(VALUES, "Conv").silent, seen(VALUES, "Conv").constant) == ((), (1,))
    assert seen(VALUES + 3, "Relu").silent == ()


def test_one_value_alone_is_not_called_constant() -> None:
    """A dense layer after one picture."""
    examined = Examined(layer("x", "Gemm"), None)
    examined.add(np.array([[1.0, 2.0]]))

    assert examined.report(None).constant == ()


def test_places_of_a_reshape_are_no_channels() -> None:
    """A corner that is always black is no fault of a flattened map."""
    examined = Examined(layer("x", "Flatten", roles=(Role.RESHAPE,)), None)
    examined.add(np.zeros((5, 3)))

    assert examined.report(None).constant == ()


def test_what_is_no_number_is_counted_and_left_out() -> None:
    """NaN and infinities by their sign; the mean is that of the rest."""
    values = VALUES.copy()
    values[1, 0, 0] = [np.nan, np.inf]
    values[2, 1, 0] = -np.inf

    health = seen(values, "Conv")

    told = health.statistics
    assert (told.nans, told.positive_infinities, told.negative_infinities) == (1, 1, 2)
    assert (health.not_finite, health.finite) == (4, 8)
    assert (told.mean, told.max) == (1.0, 6.0)
    assert health.constant == ()


def test_a_layer_without_a_number_has_none_to_tell() -> None:
    """Nothing but NaN: no mean, no extremes, and it says so before the report."""
    examined = Examined(layer("x", "Conv"), None)
    assert examined.is_finite
    examined.add(np.full((2, 2, 1, 2), np.nan))

    told = examined.report(None).statistics
    assert not examined.is_finite
    assert all(math.isnan(value) for value in (told.mean, told.std, told.min, told.max, told.l2))
    assert np.isnan(examined.means).all()


def test_values_at_the_ends_saturate() -> None:
    """Within a hundredth of 0 or 1; the first channel always, the second half of the time."""
    values = np.array([[[[0.001, 0.999]], [[0.5, 1.0]]]] * 2)

    health = seen(values, "Sigmoid", limits=Ends(0.0, 1.0, 0.01))

    assert health.saturation == 0.75
    assert health.saturated == (0, 1)
    assert seen(values, "Clip", limits=Ends(None, None, 0.01)).saturation == 0


def test_drift_is_told_of_layers_that_the_profile_holds() -> None:
    """By the means of each picture's channels."""
    values = np.random.default_rng(0).normal(0, 1, (60, 2, 1, 2))
    profile = Profile(60, {"x": quantiles(values.mean(axis=(2, 3)))})

    health = seen(values, "Conv", profile=profile)

    assert health.drift is not None
    assert health.drift.channels == 0
    assert seen(values, "Conv", profile=Profile(60, {})).drift is None


@pytest.mark.parametrize(
    ("op", "low", "high", "near"),
    [("Sigmoid", 0, 1, 0.01), ("HardSigmoid", 0, 1, 0.01), ("Tanh", -1, 1, 0.02), ("Softsign", -1, 1, 0.02)],
)
def test_functions_end_where_they_flatten(op: str, low: float, high: float, near: float) -> None:
    """A hundredth of the range counts as there."""
    assert ends(graph((op, "image", "x")), layer("x", op), {}) == Ends(low, high, near)


def test_a_clip_ends_where_it_says_but_not_at_zero() -> None:
    """Zero is where a rectifier rests; bounds may be inputs, attributes, or missing."""
    relu6 = graph(("Clip", "image low high", "x"), low=np.float32(0), high=np.float32(6))
    only_high = graph(("Clip", "image none high", "x"), high=np.float32(6))
    attributes = Graph((Node("c", "Clip", ("image",), ("x",), {"min": -2.0, "max": 2.0}),), ("image",), ("x",), {}, {})

    assert ends(relu6, layer("x", "Clip"), {}) == Ends(None, 6.0, 0.06)
    assert ends(only_high, layer("x", "Clip"), {}) == Ends(None, 6.0, 0.0)
    assert ends(attributes, layer("x", "Clip"), {}) == Ends(-2.0, 2.0, 0.04)


def test_integers_end_with_their_range_but_not_at_zero() -> None:
    """With a zero point of 0 only the upper end of 0 to 255, with one of 100 both; scales per channel are left out."""
    one = {"x": Integers("q", np.float32(0.5), np.uint8(0))}  # type: ignore[arg-type]
    two = {"x": Integers("q", np.float32(0.5), np.uint8(100))}  # type: ignore[arg-type]
    many = {"x": Integers("q", np.array([0.5, 1]), np.array([0, 0], np.uint8))}
    network = graph(("DequantizeLinear", "q", "x"))

    assert ends(network, layer("x"), one) == Ends(None, 127.5, 0.25)
    assert ends(network, layer("x"), two) == Ends(-50.0, 77.5, 0.25)
    assert ends(network, layer("x"), many) is None


def test_other_functions_have_no_end() -> None:
    """Nor has a tensor that no node gives."""
    assert ends(graph(("Conv", "image w", "x")), layer("x", "Conv"), {}) is None
    assert ends(graph(), layer("image"), {}) is None


def test_blocks_do_not_rectify_though_they_contain_what_does() -> None:
    """Their output is another layer's."""
    assert is_rectifier(layer("x", "Conv", "Relu"))
    assert not is_rectifier(layer("x", "Conv", "Relu", roles=(Role.BLOCK,)))
    assert not is_rectifier(layer("x", "Conv"))


def test_the_first_bad_layer_is_the_first_in_the_graph() -> None:
    """Not the first in the list; of two with the same output, the innermost; None where all is well."""
    network = graph(("Conv", "image", "a"), ("Relu", "a", "b"), ("Gemm", "b", "logits"))
    block, outer, inner = layer("b", roles=(Role.BLOCK,)), layer("logits"), layer("b")

    assert first_bad(network, [outer, block, inner], {"b": True, "logits": True}) is inner
    assert first_bad(network, [outer], {"a": True}) is None
    assert first_bad(network, [outer], {"logits": False}) is None


def test_bad_weights_are_counted_in_the_layer_alone() -> None:
    """Integers cannot be bad."""
    network = graph(
        ("Conv", "image w", "a"),
        ("Conv", "a v shape", "b"),
        w=np.array([np.nan, np.inf]),
        v=np.array([1, -np.inf]),
        shape=np.array([1, 2]),
    )

    assert bad_weights(network, layer("b", inputs=("a",))) == 1
    assert bad_weights(network, layer("a", inputs=("image",))) == 2
