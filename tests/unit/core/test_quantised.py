from __future__ import annotations

import numpy as np
import pytest

from service.core.graph import Graph, Node
from service.core.quantised import integers, is_quantised, with_float_weights


def node(op: str, inputs: str, output: str, **attributes: int) -> Node:
    return Node(output, op, tuple(inputs.split()), (output,), attributes)


WEIGHT = np.array([[-2, 0], [4, 6]], np.int8)


def graph(*nodes: Node, **constants: object) -> Graph:
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    return Graph(nodes, ("image",), ("logits",), arrays, {})


def test_a_network_without_pairs_is_not_quantised() -> None:
    """It has no integers, and is given back as it is."""
    plain = graph(node("Relu", "image", "logits"))

    assert not is_quantised(plain)
    assert integers(plain) == {}
    assert with_float_weights(plain) is plain


@pytest.mark.parametrize(
    ("axis", "expected"), [(0, [[-1, 0], [1, 1.5]]), (1, [[-1, 0], [2, 1.5]])], ids=["by row", "by column"]
)
def test_weights_become_the_floats_that_they_stand_for(axis: int, expected: list[list[float]]) -> None:
    """A scale for each index of the axis; what only the integers needed is dropped."""
    found = with_float_weights(
        graph(
            node("DequantizeLinear", "weight scale", "float", axis=axis),
            node("MatMul", "image float", "logits"),
            weight=WEIGHT,
            scale=np.array([0.5, 0.25], np.float32),
        )
    )

    assert [each.op for each in found.nodes] == ["MatMul"]
    assert found.constants.keys() == {"float"}
    assert found.constants["float"].tolist() == expected


def test_a_weight_with_one_scale_and_a_zero_point() -> None:
    """(integer - zero point) * scale."""
    found = with_float_weights(
        graph(
            node("DequantizeLinear", "weight scale zero", "float"),
            node("MatMul", "image float", "logits"),
            weight=WEIGHT,
            scale=np.float32(0.5),
            zero=np.int8(-2),
        )
    )

    assert found.constants["float"].tolist() == [[0, 1], [3, 4]]


def test_the_integers_behind_an_activation_are_found() -> None:
    """With what turns them into floats, one scale for all."""
    found = graph(
        node("QuantizeLinear", "image scale zero", "q"),
        node("DequantizeLinear", "q scale zero", "logits"),
        scale=np.float32(0.25),
        zero=np.uint8(128),
    )

    assert is_quantised(found)
    assert with_float_weights(found) is found
    behind = integers(found)["logits"]
    assert behind.tensor == "q"
    assert behind.floats(np.array([[[[128, 132]]]], np.uint8)).tolist() == [[[[0, 1]]]]


def test_scales_per_channel_and_no_zero_point() -> None:
    """The second axis is the channels'."""
    found = graph(
        node("QuantizeLinear", "image scale", "q"),
        node("DequantizeLinear", "q scale", "logits"),
        scale=np.array([0.5, 2], np.float32),
    )

    behind = integers(found)["logits"]

    assert behind.floats(np.array([[[[2]], [[3]]]], np.uint8)).tolist() == [[[[1]], [[6]]]]
