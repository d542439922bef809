"""Heads whose logits are sums over channels: global average pooling and one dense layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.core import windows
from service.core.graph import Graph, Node
from service.core.spec import OUTPUT_NAME

_MOVES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze"})
_MEANS = frozenset({"GlobalAveragePool", "ReduceMean"})


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


def _before(producers: dict[str, Node], tensor: str) -> Node | None:
    """The node behind a tensor, past those that only give it another shape."""
    node = producers.get(tensor)
    while node is not None and node.op in _MOVES:
        node = producers.get(node.inputs[0])
    return node
