"""INT8 networks in the QDQ form of ONNX: which integers stand behind a tensor, and the weights as floats.

A quantised value is `scale * (integer - zero_point)`. Quantisers write it as QuantizeLinear, which gives the integers,
and DequantizeLinear, which gives them back as floats. Runtimes fuse an operation with the pairs around it: then the
floats between it and its QuantizeLinear never exist. They may not even be what their name says: a quantiser that takes
out a ReLU, since the integers' range clips as it did, gives its output's name to what went into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from service.core.graph import Array, Graph, Node

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


@dataclass(frozen=True, slots=True)
class Integers:
    """The integers behind a dequantised tensor; `scale` and `zero_point` have one value, or one a channel."""

    tensor: str
    scale: Array = field(repr=False)
    zero_point: Array = field(repr=False)

    def floats(self, integers: Array) -> Array:
        """What integers [N, channels, ...] stand for, float32, as DequantizeLinear computes it."""
        shape = (-1, *[1] * (integers.ndim - 2)) if self.scale.size > 1 else ()
        centred = integers.astype(np.int32) - self.zero_point.astype(np.int32).reshape(shape)
        return centred.astype(np.float32) * self.scale.astype(np.float32).reshape(shape)


def is_quantised(graph: Graph) -> bool:
    """Whether a network computes with quantised activations."""
    return any(node.op == QUANTIZE for node in graph.nodes)


def integers(graph: Graph) -> Mapping[str, Integers]:
    """The integers behind every activation that a DequantizeLinear gives, by its output."""
    return {node.output: _integers(graph, node) for node in graph.nodes if node.op == DEQUANTIZE}


def with_float_weights(graph: Graph) -> Graph:
    """The graph with its quantised weights as the floats that they stand for; activations stay as they are."""
    weights = {
        node.output: _constant(graph, node)
        for node in graph.nodes
        if node.op == DEQUANTIZE and node.inputs[0] in graph.constants
    }
    if not weights:
        return graph
    nodes = tuple(node for node in graph.nodes if node.output not in weights)
    used = {name for node in nodes for name in node.needs}
    constants = {name: value for name, value in {**graph.constants, **weights}.items() if name in used}
    return replace(graph, nodes=nodes, constants=constants)


def _integers(graph: Graph, node: Node) -> Integers:
    scale = graph.constants[node.inputs[1]]
    return Integers(node.inputs[0], scale, _zero_point(graph, node, scale))


def _zero_point(graph: Graph, node: Node, scale: Array) -> Array:
    has_one = len(node.inputs) > 2 and node.inputs[2]
    return graph.constants[node.inputs[2]] if has_one else np.zeros(scale.shape, np.uint8)


def _constant(graph: Graph, node: Node) -> Array:
    """A weight as floats; its scale is one number, or one for each index of an axis."""
    values, scale = graph.constants[node.inputs[0]], graph.constants[node.inputs[1]]
    zero_point = _zero_point(graph, node, scale)
    shape = [1] * values.ndim
    if scale.size > 1:
        shape[node.integer("axis", 1)] = -1
    centred = values.astype(np.int64) - zero_point.astype(np.int64).reshape(shape)
    return (centred * scale.astype(np.float64).reshape(shape)).astype(np.float32)
