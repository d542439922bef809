"""Layers that compute nothing: they hand values on in another order or shape, or with zeros around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from service.core.graph import Graph, Node
from service.core.windows import padding

_MOVES = frozenset({"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


class Origin(NamedTuple):
    """The tensor whose values a tensor holds, and how many zeros it holds besides."""

    tensor: str
    zeros: int


def origin(graph: Graph, producers: Mapping[str, Node], tensor: str) -> Origin:
    """Where the values of a tensor were computed: often the tensor itself. `producers` are the graph's."""
    found = tensor
    while (node := producers.get(found)) is not None and _only_moves(graph, node):
        found = node.inputs[0]
    if found == tensor:
        return Origin(tensor, 0)
    return Origin(found, graph.types[tensor].size - graph.types[found].size)


def _only_moves(graph: Graph, node: Node) -> bool:
    """Both sizes must be known, and differ by what a Pad adds alone."""
    sizes = [graph.types[name].size for name in (node.inputs[0], node.output) if name in graph.types]
    if len(sizes) < 2:
        return False
    if node.op == "Pad":
        sides = padding(graph, node)
        return sides is not None and min(sides) >= 0
    return node.op in _MOVES and sizes[0] == sizes[1]
