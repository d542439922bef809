"""Reverse-mode differentiation of a network's graph: its backward half, written in the operations of ONNX.

Griewank & Walther, "Evaluating Derivatives", SIAM 2008. The rules for single operations are in `derivatives`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.core.derivatives import RULES
from service.core.errors import Refused
from service.core.graph import Array, Graph, Node, ancestors
from service.core.spec import OUTPUT_NAME
from service.core.tape import PREFIX, Tape

#: Graph input of the backward half, float32 [N, classes]: what each logit weighs in the sum that is differentiated.
CLASS_WEIGHTS = f"{PREFIX}class_weights"


@dataclass(frozen=True, slots=True)
class Backward:
    """The nodes and constants to be added to a graph so that it also computes the tensor `gradient`.

    That is d(sum of `CLASS_WEIGHTS` * logits) / d(a tensor), in the tensor's shape.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array] = field(repr=False)
    gradient: str


def differentiate(graph: Graph, tensor: str) -> Backward:
    """The backward half of `graph` from the logits down to `tensor`; `graph` must know the types of its tensors.

    Raises `Refused` when the logits do not depend on the tensor, or an operation in between has no derivative here.
    """
    path = between(graph, tensor)
    tape = Tape(graph)
    reached = {tensor, *(node.output for node in path)}
    gradients = {OUTPUT_NAME: CLASS_WEIGHTS}
    for node in reversed(path):
        # A node without one feeds a shape or an index: nothing of it arrives as a value.
        for source, part in _parts(tape, node, gradients[node.output]) if node.output in gradients else ():
            if source in reached:
                gradients[source] = tape.emit("Add", gradients[source], part) if source in gradients else part
    if tensor not in gradients:
        raise Refused(f"{tensor}: the logits do not depend on its values")
    return Backward(tuple(tape.nodes), tape.constants, gradients[tensor])


def between(graph: Graph, tensor: str) -> tuple[Node, ...]:
    """The nodes that carry `tensor` to the logits, in order."""
    reached = {tensor}
    path = []
    for node in ancestors(graph, [OUTPUT_NAME], [tensor]):
        if not reached.isdisjoint(node.needs):
            reached.update(node.outputs)
            path.append(node)
    return tuple(path)


def _parts(tape: Tape, node: Node, gradient: str) -> list[tuple[str, str]]:
    """What the gradient of a node's output adds to those of its inputs: pairs of tensor and gradient."""
    if node.op not in RULES:
        raise Refused(f"no derivative is known of the operation {node.op} ({node.name or node.output})")
    return list(RULES[node.op](tape, node, gradient))
