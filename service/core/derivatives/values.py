"""Functions of single values."""

from __future__ import annotations

import math
from collections.abc import Mapping

from service.core.derivatives.rule import Parts, Rule
from service.core.graph import Node
from service.core.tape import Tape


def _relu(tape: Tape, node: Node, g: str) -> Parts:
    yield node.inputs[0], tape.where(tape.emit("Greater", node.inputs[0], tape.number(0)), g)


def _leaky_relu(tape: Tape, node: Node, g: str) -> Parts:
    below = tape.emit("Mul", g, tape.number(node.number("alpha", 0.01)))
    yield node.inputs[0], tape.where(tape.emit("Greater", node.inputs[0], tape.number(0)), g, below)


def _elu(tape: Tape, node: Node, g: str) -> Parts:
    """Below zero, y = alpha (exp(x) - 1), so dy/dx = y + alpha."""
    slope = tape.emit("Add", node.output, tape.number(node.number("alpha", 1.0)))
    above = tape.emit("Greater", node.inputs[0], tape.number(0))
    yield node.inputs[0], tape.where(above, g, tape.emit("Mul", g, slope))


def _sigmoid(tape: Tape, node: Node, g: str) -> Parts:
    slope = tape.emit("Mul", node.output, tape.emit("Sub", tape.number(1), node.output))
    yield node.inputs[0], tape.emit("Mul", g, slope)


def _tanh(tape: Tape, node: Node, g: str) -> Parts:
    slope = tape.emit("Sub", tape.number(1), tape.emit("Mul", node.output, node.output))
    yield node.inputs[0], tape.emit("Mul", g, slope)


def _softplus(tape: Tape, node: Node, g: str) -> Parts:
    yield node.inputs[0], tape.emit("Mul", g, tape.emit("Sigmoid", node.inputs[0]))


def _erf(tape: Tape, node: Node, g: str) -> Parts:
    """The inside of an exact GELU."""
    x = node.inputs[0]
    bell = tape.emit("Exp", tape.emit("Neg", tape.emit("Mul", x, x)))
    yield x, tape.emit("Mul", g, tape.emit("Mul", bell, tape.number(2 / math.sqrt(math.pi))))


def _hard_sigmoid(tape: Tape, node: Node, g: str) -> Parts:
    steep = tape.emit("Mul", g, tape.number(node.number("alpha", 0.2)))
    yield node.inputs[0], _inside(tape, node.output, 0.0, 1.0, steep)


def _hard_swish(tape: Tape, node: Node, g: str) -> Parts:
    """The slope of x * min(max(x / 6 + 1/2, 0), 1) is x / 3 + 1/2 between -3 and 3, then 1."""
    x = node.inputs[0]
    slope = tape.emit("Add", tape.emit("Mul", x, tape.number(1 / 3)), tape.number(0.5))
    rising = tape.where(tape.emit("Greater", x, tape.number(-3)), tape.emit("Mul", g, slope))
    yield x, tape.where(tape.emit("Greater", x, tape.number(3)), g, rising)


def _clip(tape: Tape, node: Node, g: str) -> Parts:
    bounds = (*node.inputs[1:3], "", "")[:2]
    low, high = (float(tape.known(name, node)) if name else None for name in bounds)
    yield node.inputs[0], _inside(tape, node.inputs[0], low, high, g)


def _inside(tape: Tape, x: str, low: float | None, high: float | None, g: str) -> str:
    """The gradient where x lies between the bounds, zero elsewhere."""
    if low is not None:
        g = tape.where(tape.emit("Greater", x, tape.number(low)), g)
    if high is not None:
        g = tape.where(tape.emit("Less", x, tape.number(high)), g)
    return g


RULES: Mapping[str, Rule] = {
    "Clip": _clip,
    "Elu": _elu,
    "Erf": _erf,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "Relu": _relu,
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Tanh": _tanh,
}
