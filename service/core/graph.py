"""A network as a graph: what an ONNX file says, without the file. Read by `engine/graph.py`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | Array


@dataclass(frozen=True, slots=True)
class Node:
    """One operation. A missing optional input is "". `captures` are the outer tensors that subgraphs (If, Loop) use."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    captures: tuple[str, ...] = ()

    @property
    def output(self) -> str:
        """The first output, which is the only one that matters in an evaluating CNN."""
        return self.outputs[0]

    @property
    def needs(self) -> tuple[str, ...]:
        """Every tensor that must exist before this node runs."""
        return tuple(name for name in (*self.inputs, *self.captures) if name)

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        value = self.attributes.get(name, default)
        assert isinstance(value, int)
        return value

    def number(self, name: str, default: float) -> float:
        """A float attribute."""
        value = self.attributes.get(name, default)
        assert isinstance(value, (int, float))
        return float(value)

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of integers."""
        value = self.attributes.get(name, default)
        assert isinstance(value, tuple)
        return tuple(int(each) for each in value)

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        return str(self.attributes.get(name, default))


@dataclass(frozen=True, slots=True)
class TensorType:
    """Of one tensor: NumPy's name of its type, and its shape per item, without the batch axis."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Values per item."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes per item."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which they can run. `constants` are the weights; `types` of tensors as far as known."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array] = field(repr=False)
    types: Mapping[str, TensorType] = field(repr=False)

    def producers(self) -> dict[str, Node]:
        """The node behind every computed tensor."""
        return {output: node for node in self.nodes for output in node.outputs if output}

    def consumers(self) -> dict[str, list[Node]]:
        """The nodes that use a tensor, in order."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.needs):
                found.setdefault(name, []).append(node)
        return found

    def activations(self, node: Node) -> tuple[str, ...]:
        """The inputs of a node that depend on the picture: those that are not constants."""
        return tuple(name for name in node.inputs if name and name not in self.constants)


def ancestors(graph: Graph, wanted: Iterable[str], stop: Iterable[str] = ()) -> tuple[Node, ...]:
    """The nodes needed to compute `wanted`, in graph order; nothing above the tensors in `stop` is followed."""
    producers = graph.producers()
    known = set(stop)
    needed: set[str] = set()
    todo = [name for name in wanted if name not in known]
    while todo:
        node = producers.get(todo.pop())
        if node is None or node.output in needed:
            continue
        needed.add(node.output)
        todo.extend(name for name in node.needs if name not in known)
    return tuple(node for node in graph.nodes if node.output in needed)
