"""Graphs that our own exporter does not write, but others do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from service.core import windows
from service.core.anatomy import describe
from service.core.arithmetic import explain
from service.core.errors import Refused
from service.core.geometry import Field, Window
from service.core.graph import Array, Attribute, Graph, Node, TensorType
from service.core.heads import class_weights
from service.core.layers import LayerInfo, Role
from service.core.spec import Layer

MAP = TensorType("float32", (2, 7, 8))
KERNEL = np.ones((3, 2, 3, 3), np.float32)


def node(op: str, *inputs: str, **attributes: Attribute) -> Node:
    """One with the output y."""
    return Node(op.lower(), op, inputs or ("x",), ("y",), attributes)


def graph(
    *nodes: Node, constants: Mapping[str, Array] | None = None, y: TensorType = MAP, **types: TensorType
) -> Graph:
    """From the map x of 2x7x8 to y."""
    return Graph(nodes, ("x",), ("y",), constants or {}, {"x": MAP, "y": y, **types})


@pytest.mark.parametrize(
    ("auto_pad", "strides", "pads"),
    [
        ("VALID", (1, 1), (0, 0, 0, 0)),
        ("SAME_UPPER", (2, 2), (1, 0, 1, 1)),
        ("SAME_LOWER", (2, 2), (1, 1, 1, 0)),
        ("SAME_UPPER", (1, 1), (1, 1, 1, 1)),
        ("NOTSET", (1, 1), (0, 0, 0, 0)),
    ],
)
def test_automatic_padding(auto_pad: str, strides: tuple[int, int], pads: tuple[int, int, int, int]) -> None:
    """An odd pixel goes below and right, or above and left; the kernel's size is that of the weights."""
    conv = node("Conv", "x", "w", auto_pad=auto_pad, strides=strides)

    assert windows.window(graph(conv, constants={"w": KERNEL}), conv) == Window((3, 3), strides, padding=pads)


def test_global_pools_see_all() -> None:
    """In any of their spellings."""
    for pool in (node("GlobalAveragePool"), node("ReduceMean", axes=(2, 3)), node("ReduceMax", "x", "a")):
        net = graph(pool, constants={"a": np.array([-1, -2])}, y=TensorType("float32", (2, 1, 1)))
        assert windows.window(net, pool) == Window((7, 8))
        assert windows.fields(net)["y"] == Field((7, 8), (0, 0), (0, 0))


@pytest.mark.parametrize(
    "other",
    [
        node("Pad", "x", "p", mode="reflect"),
        node("Pad", "x", "p", "one"),
        node("Pad", "x", "channels"),
        node("Pad", "x", "unknown"),
        node("Resize"),
        node("Transpose", perm=(0, 2, 1, 3)),
        node("Softmax", axis=3),
        node("Conv", "x", "line"),
    ],
)
def test_what_is_not_understood_has_no_receptive_field(other: Node) -> None:
    """Rather than a wrong one; nor has what comes after it, alone or joined with what is known."""
    constants: dict[str, Array] = {
        "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "channels": np.array([0, 1, 0, 0, 0, 0, 0, 0]),
        "one": np.array(1, np.float32),
        "line": np.ones((3, 2, 3), np.float32),
    }
    after = Node("relu", "Relu", ("y",), ("z",))
    joined = Node("add", "Add", ("x", "z", "x"), ("s",))
    net = graph(other, after, joined, constants=constants, z=MAP, s=MAP)

    fields = windows.fields(net)

    assert (fields["y"], fields["z"], fields["s"]) == (None, None, None)
    assert windows.padding(net, other) is None


def test_constants_have_no_receptive_field() -> None:
    """What does not depend on the picture is not listed."""
    shape = Node("neg", "Neg", ("c",), ("k",))

    assert set(windows.fields(graph(shape, node("Relu"), constants={"c": np.ones(2)}))) == {"x", "y"}


def test_normalisation_over_a_map_sees_all_of_it() -> None:
    """Every value depends on its mean."""
    assert windows.fields(graph(node("InstanceNormalization")))["y"] == Field((7, 8), (0, 0), (0, 0))


def test_matrix_products() -> None:
    """A dense layer keeps the field of its flattened input; on maps a product mixes places and is not understood."""
    flat = TensorType("float32", (112,))
    flatten = Node("flatten", "Flatten", ("x",), ("f",))
    dense = Node("matmul", "MatMul", ("f", "w"), ("y",))
    net = graph(flatten, dense, constants={"w": np.ones((112, 5))}, y=TensorType("float32", (5,)), f=flat)

    assert windows.fields(net)["y"] == Field((7, 8), (0, 0), (0, 0))
    assert windows.macs(net, dense) == 5 * 112
    assert windows.fields(graph(node("MatMul", "x", "w"), constants={"w": np.ones((8, 8))}))["y"] is None


def test_macs_are_counted_for_what_multiplies() -> None:
    """Not for other operations, nor for weights that are computed."""
    conv = node("Conv", "x", "w")
    square = node("Gemm", "x", "m")

    assert windows.macs(graph(conv, constants={"w": KERNEL}, y=TensorType("float32", (3, 5, 6))), conv) == 90 * 18
    assert windows.macs(graph(square, constants={"m": np.ones((4, 6))}, y=TensorType("float32", (6,))), square) == 24
    assert windows.macs(graph(node("Relu")), node("Relu")) == 0
    assert windows.macs(graph(node("Add", "x", "m"), constants={"m": KERNEL}), node("Add", "x", "m")) == 0


def test_a_tensor_that_ends_nowhere_is_folded_into_nothing() -> None:
    """Such as an output that serving drops."""
    (layer,) = describe(graph(node("Relu")), (), frozenset())

    assert (layer.id, layer.folded_into) == ("tensor:y", "")


def test_a_convolution_with_a_padding_module_inside_is_a_convolution() -> None:
    """A sequence of modules is a block; one operation with a helper is not, and keeps the helper's zeros."""
    pad = Node("pad", "Pad", ("x", "p"), ("padded",))
    conv = Node("conv", "Conv", ("padded", "w"), ("c",))
    relu = Node("relu", "Relu", ("c",), ("y",))
    out = TensorType("float32", (3, 6, 6))
    constants = {"w": KERNEL, "p": np.array([0, 0, 1, 0, 0, 0, 0, 0])}
    net = graph(pad, conv, relu, constants=constants, y=out, c=out, padded=TensorType("float32", (2, 8, 8)))
    modules = (
        Layer("stem", 0, "Sequential", ("Pad", "Conv", "Relu"), "y", (3, 6, 6), ("x",)),
        Layer("stem.conv", 0, "SameConv", ("Pad", "Conv"), "c", (3, 6, 6), ("x",)),
        Layer("stem.conv.pad", 0, "ZeroPad2d", ("Pad",), "padded", (2, 8, 8), ("x",)),
        Layer("stem.act", 0, "ReLU", ("Relu",), "y", (3, 6, 6), ("c",)),
    )

    layers = {layer.id: layer for layer in describe(net, modules, {"c", "y"})}

    assert list(layers) == [module.path for module in modules]
    assert Role.BLOCK in layers["stem"].roles
    assert layers["stem.conv"].roles == {Role.CONVOLUTION, Role.PRE_ACTIVATION}
    assert layers["stem.conv"].window == Window((3, 3), padding=(1, 0, 0, 0))
    assert layers["stem.conv.pad"].folded_into == "stem.conv"


def test_only_sums_over_channels_have_class_weights() -> None:
    """The head must be a mean over the map and one dense layer that ends in the logits."""
    pool = Node("pool", "GlobalAveragePool", ("x",), ("p",))
    flatten = Node("flatten", "Flatten", ("p",), ("f",))
    dense = Node("dense", "Gemm", ("f", "w"), ("logits",))
    weights = {"w": np.arange(6.0).reshape(2, 3)}

    found = class_weights(graph(pool, flatten, dense, constants=weights), "x")

    assert found is not None
    np.testing.assert_array_equal(weights["w"].T, found)
    assert class_weights(graph(pool, flatten, dense, constants=weights), "p") is None
    assert class_weights(graph(pool, flatten, dense), "x") is None
    assert class_weights(graph(flatten), "x") is None


def explained(net: Graph, *inputs: str, place: tuple[int, int, int] = (0, 0, 0)) -> float:
    """What the arithmetic makes of the last layer, its inputs filled with counts."""
    layer = LayerInfo("y", "y", 0, "", "node", frozenset(), (), "y", net.types["y"], inputs)
    values = {name: np.arange(112, dtype=np.float32).reshape(1, 2, 7, 8) for name in ("y", *inputs)}
    return explain(net, layer, place, values).computed


def test_a_concatenation_tells_which_map_a_channel_was() -> None:
    """Along the channels; along other axes it says that it cannot."""
    four = TensorType("float32", (4, 7, 8))
    joined = graph(node("Concat", "x", "x", axis=1), y=four)
    assert windows.fields(joined)["y"] == Field()

    layer = LayerInfo("y", "y", 0, "", "node", frozenset(), (), "y", four, ("x",))
    values = {"x": np.arange(112.0).reshape(1, 2, 7, 8), "y": np.zeros((1, 4, 7, 8))}
    assert explain(joined, layer, (3, 0, 1), values).computed == 57
    with pytest.raises(Refused, match="the arithmetic of Concat is not explained"):
        explained(graph(node("Concat", "x", "x", axis=2)), "x")


def test_weights_that_are_computed_are_not_explained() -> None:
    """It says which."""
    with pytest.raises(Refused, match="Conv conv: its weights v are computed"):
        explained(graph(node("Conv", "x", "v", kernel_shape=(3, 3))), "x", "v")


def test_a_dense_layer_may_have_no_bias() -> None:
    """Then nothing is added."""
    product = graph(node("Gemm", "x", "w"), constants={"w": np.full((3, 1), 2.0)}, y=TensorType("float32", (1,)))
    layer = LayerInfo("y", "y", 0, "", "node", frozenset(), (), "y", product.types["y"], ("x",))

    assert explain(product, layer, (0, 0, 0), {"x": np.ones((1, 3)), "y": np.full((1, 1), 6.0)}).computed == 6
