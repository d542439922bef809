from __future__ import annotations

import numpy as np
import pytest

from service.core.graph import Array, Graph, Node, TensorType
from service.core.moved import Origin, origin

PADS = np.array([0, 0, 1, 0, 0, 0, 2, 1])


def graph(*nodes: Node, constants: dict[str, Array] | None = None, **shapes: tuple[int, ...]) -> Graph:
    types = {name: TensorType("float32", shape) for name, shape in shapes.items()}
    return Graph(nodes, ("images",), ("logits",), constants or {}, types)


def found(network: Graph, tensor: str) -> Origin:
    return origin(network, network.producers(), tensor)


def test_a_tensor_that_was_computed_is_its_own_origin() -> None:
    """Also where what came before is the same size, and where nothing did."""
    network = graph(Node("", "Relu", ("a",), ("b",)), a=(4, 3, 3), b=(4, 3, 3))

    assert found(network, "b") == Origin("b", 0)
    assert found(network, "a") == Origin("a", 0)


def test_what_only_moves_values_leads_back() -> None:
    """Through any number of layers, of which one adds a frame of zeros: 4 maps grow from 3x3 to 6x4."""
    network = graph(
        Node("", "Conv", ("images", "w"), ("a",)),
        Node("", "Dropout", ("a",), ("b",)),
        Node("", "Pad", ("b", "pads"), ("c",)),
        Node("", "Flatten", ("c",), ("d",)),
        constants={"w": np.zeros(1), "pads": PADS},
        a=(4, 3, 3),
        b=(4, 3, 3),
        c=(4, 6, 4),
        d=(96,),
    )

    assert found(network, "d") == found(network, "c") == Origin("a", 60)
    assert found(network, "b") == Origin("a", 0)


@pytest.mark.parametrize(
    ("pads", "value", "mode"),
    [(PADS, 1.0, "constant"), (PADS, 0.0, "reflect"), (-PADS, 0.0, "constant")],
)
def test_other_padding_makes_values_of_its_own(pads: Array, value: float, mode: str) -> None:
    """Ones, mirrored values, and values that are cut off."""
    network = graph(
        Node("", "Pad", ("a", "pads", "value"), ("b",), {"mode": mode}),
        constants={"pads": pads, "value": np.array(value)},
        a=(4, 6, 4),
        b=(4, 6, 4),
    )

    assert found(network, "b") == Origin("b", 0)


def test_a_size_that_is_not_known_proves_nothing() -> None:
    """Nor does one that differs."""
    network = graph(Node("", "Reshape", ("a", "s"), ("b",)), Node("", "Reshape", ("b", "s"), ("c",)), a=(4,), c=(2,))

    assert found(network, "b") == Origin("b", 0)
    assert found(network, "c") == Origin("c", 0)
