from __future__ import annotations

import pytest

from service.core.errors import Refused
from service.core.graph import Graph, Node, TensorType
from service.core.heads import holds_all, is_linear, last_map
from service.core.layers import TENSOR, LayerInfo


def layer(tensor: str, shape: tuple[int, ...], dtype: str = "float32") -> LayerInfo:
    return LayerInfo(TENSOR + tensor, tensor, 0, "", "node", frozenset(), (), tensor, TensorType(dtype, shape), ())


def chain(*nodes: Node) -> Graph:
    return Graph(nodes, ("image",), ("logits",), {}, {})


TWO_WAYS = chain(
    Node("", "Conv", ("image", "w"), ("map",)),
    Node("", "Relu", ("map",), ("left",)),
    Node("", "Sigmoid", ("map",), ("right",)),
    Node("", "Mul", ("left", "right"), ("gated",)),
    Node("", "GlobalAveragePool", ("gated",), ("mean",)),
    Node("", "Flatten", ("mean",), ("logits",)),
)


def test_the_last_map_is_the_one_that_everything_goes_through() -> None:
    """Not one of two branches, and not a mean, which has no places."""
    layers = [layer("map", (2, 4, 4)), layer("left", (2, 4, 4)), layer("mean", (2, 1, 1)), layer("logits", (2,))]

    assert last_map(TWO_WAYS, layers).tensor == "map"
    assert last_map(TWO_WAYS, [layer("gated", (2, 4, 4)), *layers]).tensor == "gated"
    assert holds_all(TWO_WAYS, "gated")
    assert not holds_all(TWO_WAYS, "right")


@pytest.mark.parametrize("layers", [[], [layer("right", (2, 4, 4))], [layer("map", (2, 4, 4), "uint8")]])
def test_a_network_without_such_a_map_is_refused(layers: list[LayerInfo]) -> None:
    """What needs no map is named."""
    with pytest.raises(Refused, match="no map that everything goes through; OCCLUSION and RISE need none"):
        last_map(TWO_WAYS, layers)


def test_a_product_of_two_maps_is_not_linear() -> None:
    """What is done with means and sums is."""
    assert is_linear(TWO_WAYS, "gated")
    assert not is_linear(TWO_WAYS, "map")
