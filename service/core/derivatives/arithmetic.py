"""Arithmetic, with broadcasting."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.derivatives.rule import Parts, Rule
from service.core.errors import Refused
from service.core.graph import Node
from service.core.tape import Tape


def _add(tape: Tape, node: Node, g: str) -> Parts:
    for source in tape.graph.activations(node):
        yield source, _summed(tape, g, node, source)


def _sub(tape: Tape, node: Node, g: str) -> Parts:
    for source, part in zip(node.inputs, (g, tape.emit("Neg", g)), strict=True):
        if source not in tape.graph.constants:
            yield source, _summed(tape, part, node, source)


def _mul(tape: Tape, node: Node, g: str) -> Parts:
    for source, other in zip(node.inputs, reversed(node.inputs), strict=True):
        if source not in tape.graph.constants:
            yield source, _summed(tape, tape.emit("Mul", g, other), node, source)


def _div(tape: Tape, node: Node, g: str) -> Parts:
    above, below = node.inputs
    share = tape.emit("Div", g, below)
    if above not in tape.graph.constants:
        yield above, _summed(tape, share, node, above)
    if below not in tape.graph.constants:
        yield below, _summed(tape, tape.emit("Neg", tape.emit("Mul", share, node.output)), node, below)


def _reciprocal(tape: Tape, node: Node, g: str) -> Parts:
    yield node.inputs[0], tape.emit("Neg", tape.emit("Mul", g, tape.emit("Mul", node.output, node.output)))


def _where(tape: Tape, node: Node, g: str) -> Parts:
    condition, yes, no = node.inputs
    for source, part in ((yes, tape.where(condition, g)), (no, tape.where(condition, tape.number(0), g))):
        if source not in tape.graph.constants:
            yield source, _summed(tape, part, node, source)


def _summed(tape: Tape, g: str, node: Node, source: str) -> str:
    """Undo broadcasting: sum the gradient over the axes along which an input was repeated."""
    shape, repeated = tape.shape(source), tape.shape(node.output)
    if len(shape) != len(repeated):
        raise Refused(f"no derivative is known of {node.op} on shapes {list(shape)} and {list(repeated)}")
    axes = [axis + 1 for axis, (one, many) in enumerate(zip(shape, repeated, strict=True)) if one < many]
    return tape.emit("ReduceSum", g, tape.integers(axes), keepdims=1) if axes else g


RULES: Mapping[str, Rule] = {
    "Add": _add,
    "Div": _div,
    "Mul": _mul,
    "Reciprocal": _reciprocal,
    "Sub": _sub,
    "Where": _where,
}
