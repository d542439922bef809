"""Writing nodes behind a graph: the tape on which a derivative is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from service.core.errors import Refused
from service.core.graph import Array, Attribute, Graph, Node, TensorType

#: Of every name that is written, so that none is one of the graph's.
PREFIX = "gradient/"


class Tape:
    """New nodes and constants, behind those given. Shapes are those of the graph's own tensors, per item."""

    def __init__(
        self, graph: Graph, nodes: Iterable[Node] = (), constants: Mapping[str, Array] = MappingProxyType({})
    ) -> None:
        self.graph = graph
        self.nodes = list(nodes)
        self.constants = dict(constants)

    def emit(self, op: str, *inputs: str, **attributes: Attribute) -> str:
        """Append an operation; returns its output."""
        output = f"{PREFIX}{op}_{len(self.nodes)}"
        self.nodes.append(Node(output, op, inputs, (output,), attributes))
        return output

    def indices(self, pool: Node) -> str:
        """Where in its flattened input each maximum of a MaxPool lies: the pool once more, for its second output."""
        output = f"{PREFIX}Indices_{len(self.nodes)}"
        self.nodes.append(Node(output, pool.op, pool.inputs, (f"{output}_values", output), pool.attributes))
        return output

    def number(self, value: float) -> str:
        """A float32 that goes with any shape."""
        return self.constant(np.float32(value))

    def integers(self, values: Iterable[int]) -> str:
        """Sizes, axes or positions."""
        return self.constant(np.array(list(values), np.int64))

    def constant(self, value: Array | np.float32) -> str:
        """Keep an array; returns its name."""
        name = f"{PREFIX}constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def known(self, name: str, node: Node) -> Array:
        """The value of an input that must be a constant; raises `Refused`."""
        if name not in self.graph.constants:
            raise Refused(f"no derivative is known of {node.op} ({node.name or node.output}) when {name} is computed")
        return self.graph.constants[name]

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Without the batch axis; raises `Refused` for tensors of other types than float32, and unknown ones."""
        known = self.graph.types.get(tensor, TensorType("unknown", ()))
        if known.dtype != "float32":
            raise Refused(f"{tensor}: derivatives are known in float32, not in {known.dtype}")
        return known.shape

    def reshaped(self, tensor: str, shape: tuple[int, ...]) -> str:
        """The same values as [N, *shape]."""
        return self.emit("Reshape", tensor, self.integers((-1, *shape)))

    def where(self, condition: str, yes: str, no: str | None = None) -> str:
        """Per value; without `no`, zero."""
        return self.emit("Where", condition, yes, no or self.number(0))
