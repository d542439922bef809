from __future__ import annotations

import numpy as np

from service.core.graph import Node, TensorType
from service.core.latency import Kernel, groups
from service.core.layers import LayerInfo, Role
from service.core.quantised import Integers


def layer(id_: str, tensor: str, folded_into: str = "", roles: frozenset[Role] = frozenset()) -> LayerInfo:
    kind = TensorType("float32", (1,))
    return LayerInfo(id_, id_, 0, "", "module", roles, (), tensor, kind, (), folded_into=folded_into)


def node(name: str, inputs: str, output: str) -> Node:
    return Node(name, "Op", tuple(inputs.split()), (output,))


def kernel(name: str) -> Kernel:
    return Kernel(name, "Op", "cpu", 1.0)


def test_folded_layers_are_in_the_kernel_of_what_is_left_of_them() -> None:
    """A convolution and a batch norm within the activation behind them; a kernel may bear the name of its output."""
    layers = [
        layer("stem", "relu", roles=frozenset({Role.BLOCK})),
        layer("conv", "c", "act"),
        layer("norm", "n", "act"),
        layer("act", "relu"),
        layer("fc", "logits"),
    ]
    fused = [node("", "image", "relu"), node("node_fc", "relu", "logits")]

    found = groups([kernel("relu_nchwc"), kernel("ReorderOutput"), kernel("node_fc")], fused, layers, {})

    assert [each.layers for each in found] == [("conv", "norm", "act"), (), ("fc",)]


def test_a_sum_without_a_kernel_went_into_the_last_one_before_it() -> None:
    """The last level takes it, and the activation behind it, into the convolution that came last."""
    layers = [layer("left", "l"), layer("right", "r"), layer("sum", "s"), layer("act", "a")]
    fused = [node("one", "image", "l"), node("two", "image", "r"), node("add", "l r", "s"), node("relu", "s", "a")]

    found = groups([kernel("one"), kernel("two")], fused, layers, {})

    assert [each.layers for each in found] == [("left",), ("right", "sum", "act")]


def test_what_no_kernel_is_known_for_is_left_out() -> None:
    """A node whose inputs nobody computes, and a layer that no node gives."""
    layers = [layer("lost", "x"), layer("gone", "y")]

    (found,) = groups([kernel("other")], [node("odd", "image", "x")], layers, {})

    assert found.layers == ()


def test_integers_stand_for_their_layer_and_names_are_kept_unique_by_a_token() -> None:
    """Of INT8 the kernel gives the integers; the layer is known by their floats."""
    integers = {"floats": Integers("q", np.ones(1), np.zeros(1))}

    (found,) = groups([kernel("conv_token_13")], [node("conv", "image", "q")], [layer("act", "floats")], integers)

    assert found.layers == ("act",)
