from __future__ import annotations

import numpy as np
import pytest

from service.core.errors import Refused
from service.core.gradients import CLASS_WEIGHTS, differentiate
from service.core.graph import Array, Graph, Node, TensorType
from service.core.tape import PREFIX


def graph(*nodes: Node, constants: dict[str, Array] | None = None, dtype: str = "float32") -> Graph:
    """From maps x [2, 4, 4] to the logits; every other tensor is as large as x."""
    shapes = {node.output: (2, 4, 4) for node in nodes} | {"x": (2, 4, 4), "logits": (2,), "vector": (2,)}
    types = {name: TensorType(dtype, shape) for name, shape in shapes.items()}
    return Graph(nodes, ("x",), ("logits",), constants or {}, types)


def mean(source: str = "x", axes: tuple[int, ...] = (2, 3)) -> Node:
    return Node("mean", "ReduceMean", (source,), ("logits",), {"axes": axes, "keepdims": 0})


def test_the_gradient_of_what_is_used_twice_is_a_sum() -> None:
    """Both ways from y to the logits count."""
    twice = graph(
        Node("", "Relu", ("x",), ("y",)),
        Node("", "Sigmoid", ("y",), ("z",)),
        Node("", "Add", ("y", "z"), ("sum",)),
        mean("sum"),
    )

    backward = differentiate(twice, "y")

    assert [node.op for node in backward.nodes] == ["Unsqueeze", "Mul", "Sub", "Mul", "Mul", "Add"]
    assert backward.nodes[0].inputs[0] == CLASS_WEIGHTS
    assert backward.gradient == backward.nodes[-1].output


def test_every_new_name_is_marked() -> None:
    """None can be one of the file's."""
    backward = differentiate(graph(mean()), "x")

    names = {*backward.constants, *(name for node in backward.nodes for name in (node.name, node.output))}
    assert {name.startswith(PREFIX) for name in names} == {True}


def test_sums_and_their_constants_pass_the_gradient_on() -> None:
    """A constant takes none; of a sum over axes, every value gets all of it."""
    constants: dict[str, Array] = {"one": np.ones((1, 2, 1, 1), np.float32), "six": np.array(6, np.float32)}
    shifted = graph(
        Node("", "Clip", ("x", "", "six"), ("small",)),
        Node("", "Sub", ("small", "one"), ("y",)),
        Node("", "Div", ("one", "y"), ("z",)),
        Node("", "Sub", ("one", "z"), ("rest",)),
        Node("", "Where", ("is_large", "rest", "one"), ("chosen",)),
        Node("sum", "ReduceSum", ("chosen",), ("logits",), {"axes": (2, 3), "keepdims": 0}),
        constants=constants,
    )

    backward = differentiate(shifted, "x")

    shares = [value for value in backward.constants.values() if value.shape == (1, 1, 4, 4)]
    assert [share.tolist() for share in shares] == [np.ones((1, 1, 4, 4)).tolist()]


def test_a_shape_that_is_computed_carries_no_gradient() -> None:
    """Exporters like to reshape to what another node measured."""
    measured = graph(
        Node("", "Shape", ("x",), ("size",)),
        Node("", "Reshape", ("x", "size"), ("y",)),
        mean("y"),
    )

    assert [node.op for node in differentiate(measured, "x").nodes] == ["Unsqueeze", "Mul", "Reshape"]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((Node("wave", "Sin", ("x",), ("y",)), mean("y")), r"no derivative is known of the operation Sin \(wave\)"),
        ((mean(axes=(0, 2, 3)),), r"ReduceMean \(mean\) over the batch"),
        ((mean(axes=()),), r"ReduceMean \(mean\) over the batch"),
        ((Node("", "Add", ("x", "vector"), ("y",)), mean("y")), r"Add on shapes \[2\] and \[2, 4, 4\]"),
        ((Node("", "Conv", ("x", "y"), ("y",)), mean("y")), r"Conv \(y\) when y is computed"),
        (
            (Node("", "Pad", ("x", "amounts"), ("y",), {"mode": "reflect"}), mean("y")),
            r"Pad \(y\) but with a constant outside",
        ),
        ((Node("", "MaxPool", ("logits", "w"), ("x",)),), "the logits do not depend on its values"),
        ((Node("", "Conv", ("x", "w"), ("y",)), mean("y")), r"Conv \(y\) over other than two axes"),
    ],
)
def test_what_has_no_derivative_is_refused(nodes: tuple[Node, ...], message: str) -> None:
    """The operation is named, and what about it is not understood."""
    constants: dict[str, Array] = {"amounts": np.ones(8, np.int64), "w": np.ones((2, 2, 3), np.float32)}

    with pytest.raises(Refused, match=message):
        differentiate(graph(*nodes, constants=constants), "x")


def test_other_types_than_float32_are_refused() -> None:
    """The constants of the rules are float32."""
    with pytest.raises(Refused, match="y: derivatives are known in float32, not in float16"):
        differentiate(graph(Node("", "Relu", ("x",), ("y",)), mean("y"), dtype="float16"), "x")
