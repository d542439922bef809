"""What only moves values about."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from service.core.derivatives.rule import Parts, Rule
from service.core.errors import Refused
from service.core.graph import Node
from service.core.tape import Tape


def _identity(_tape: Tape, node: Node, g: str) -> Parts:
    yield node.inputs[0], g


def _reshape(tape: Tape, node: Node, g: str) -> Parts:
    yield node.inputs[0], tape.reshaped(g, tape.shape(node.inputs[0]))


def _transpose(tape: Tape, node: Node, g: str) -> Parts:
    order = np.argsort(node.integers("perm", ())).tolist()
    yield node.inputs[0], tape.emit("Transpose", g, perm=tuple(order))


def _concat(tape: Tape, node: Node, g: str) -> Parts:
    axis = node.integer("axis", 1) % (len(tape.shape(node.output)) + 1)
    start = 0
    for source in node.inputs:
        end = start + tape.shape(source)[axis - 1]
        yield source, _slice(tape, g, [start], [end], [axis])
        start = end


def _pad(tape: Tape, node: Node, g: str) -> Parts:
    x, amounts = node.inputs[0], [int(amount) for amount in tape.known(node.inputs[1], node)]
    shape = tape.shape(x)
    before = amounts[1 : len(shape) + 1]
    plain = node.text("mode", "constant") == "constant" and len(amounts) == 2 * (len(shape) + 1)
    if not plain or min(amounts) < 0:
        raise Refused(f"no derivative is known of {node.op} ({node.name or node.output}) but with a constant outside")
    ends = [start + side for start, side in zip(before, shape, strict=True)]
    yield x, _slice(tape, g, before, ends, range(1, len(shape) + 1))


def _slice(tape: Tape, g: str, starts: list[int], ends: list[int], axes: list[int] | range) -> str:
    return tape.emit("Slice", g, tape.integers(starts), tape.integers(ends), tape.integers(axes))


RULES: Mapping[str, Rule] = {
    "Concat": _concat,
    "Dropout": _identity,
    "Flatten": _reshape,
    "Identity": _identity,
    "Pad": _pad,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
