"""The end of a network: where its last maps are, and what makes logits of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.core import windows
from service.core.errors import Refused
from service.core.gradients import between
from service.core.graph import Graph, Node, ancestors
from service.core.layers import LayerInfo
from service.core.spec import OUTPUT_NAME

_MOVES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze"})
_MEANS = frozenset({"GlobalAveragePool", "ReduceMean"})
_SUMS = frozenset({"Add", "Concat", "Sub"})
#: Of one computed input, the others being constants.
_LINEAR = (
    _MOVES
    | _MEANS
    | {"AveragePool", "BatchNormalization", "Conv", "Dropout", "Gemm", "MatMul", "Mul", "Pad", "ReduceSum"}
)
_MAP_AXES = 3


def class_weights(graph: Graph, tensor: str) -> NDArray[np.float64] | None:
    """What each logit multiplies the mean of each channel of `tensor` with: [classes, channels].

    None when the logits are not such sums of that tensor. Zhou et al., "Learning Deep Features for Discriminative
    Localization", CVPR 2016.
    """
    producers = graph.producers()
    dense = producers.get(OUTPUT_NAME)
    if dense is None or dense.op != "Gemm" or dense.inputs[1] not in graph.constants:
        return None
    pool = _before(producers, dense.inputs[0])
    if pool is None or pool.inputs[0] != tensor or pool.op not in _MEANS or windows.window(graph, pool) is None:
        return None
    weights = graph.constants[dense.inputs[1]].astype(np.float64) * dense.number("alpha", 1.0)
    return weights if dense.integer("transB", 0) else weights.T


def is_linear(graph: Graph, tensor: str) -> bool:
    """Whether the logits are a weighted sum of the values of `tensor` and a constant."""
    return all(
        node.op in _SUMS or (node.op in _LINEAR and len(graph.activations(node)) == 1)
        for node in between(graph, tensor)
    )


def holds_all(graph: Graph, tensor: str) -> bool:
    """Whether everything that the logits depend on goes through `tensor`."""
    return all(set(graph.inputs).isdisjoint(node.needs) for node in ancestors(graph, [OUTPUT_NAME], [tensor]))


def last_map(graph: Graph, layers: Sequence[LayerInfo]) -> LayerInfo:
    """The last layer with places, [channels, height, width], that everything goes through.

    Raises `Refused` when there is none.
    """
    order = {node.output: position for position, node in enumerate(graph.nodes)}
    maps = [layer for layer in layers if layer.tensor in order and _has_places(layer)]
    # Of layers with the same output, the innermost module.
    maps.sort(key=lambda layer: (order[layer.tensor], layer.named_by == "module", layer.depth), reverse=True)
    for layer in maps:
        if holds_all(graph, layer.tensor):
            return layer
    raise Refused("layer: the network has no map that everything goes through; OCCLUSION and RISE need none")


def _has_places(layer: LayerInfo) -> bool:
    shape = layer.type.shape
    return layer.type.dtype == "float32" and len(shape) == _MAP_AXES and shape[1] * shape[2] > 1


def _before(producers: dict[str, Node], tensor: str) -> Node | None:
    """The node behind a tensor, past those that only give it another shape."""
    node = producers.get(tensor)
    while node is not None and node.op in _MOVES:
        node = producers.get(node.inputs[0])
    return node
