"""Element-wise functions of ONNX, one value at a time, and their formulas for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.core.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class Function:
    """A function of one number with its settings filled in."""

    name: str
    formula: str
    apply: Callable[[float], float]


def function(graph: Graph, node: Node, channel: int) -> Function | None:
    """The function that a node applies to each value of `channel`; None for other operations."""
    make = _MAKERS.get(node.op)
    return make(graph, node, channel) if make else None


def silu() -> Function:
    """Swish, Ramachandran et al. 2017: a product of two operations in ONNX before opset 24."""
    return Function("silu", "x * sigmoid(x)", lambda x: x * _sigmoid(x))


def hard_swish() -> Function:
    """Howard et al., "Searching for MobileNetV3", 2019."""
    return Function("hard_swish", "x * clip(x / 6 + 0.5, 0, 1)", lambda x: x * min(max(x / 6 + 0.5, 0.0), 1.0))


def _sigmoid(x: float) -> float:
    return 0.5 * (math.tanh(0.5 * x) + 1)


def _fixed(name: str, formula: str, apply: Callable[[float], float]) -> Callable[[Graph, Node, int], Function]:
    return lambda _graph, _node, _channel: Function(name, formula, apply)


def _leaky(_graph: Graph, node: Node, _channel: int) -> Function:
    slope = node.number("alpha", 0.01)
    return Function("leaky_relu", f"x if x > 0 else {slope:g} * x", lambda x: x if x > 0 else slope * x)


def _prelu(graph: Graph, node: Node, channel: int) -> Function:
    slopes = graph.constants[node.inputs[1]].ravel()
    slope = float(slopes[channel % slopes.size])
    return Function("prelu", f"x if x > 0 else {slope:g} * x", lambda x: x if x > 0 else slope * x)


def _elu(_graph: Graph, node: Node, _channel: int) -> Function:
    alpha = node.number("alpha", 1.0)
    formula = f"x if x > 0 else {alpha:g} * (exp(x) - 1)"
    return Function("elu", formula, lambda x: x if x > 0 else alpha * math.expm1(x))


def _selu(_graph: Graph, node: Node, _channel: int) -> Function:
    alpha, gamma = node.number("alpha", 1.67326319), node.number("gamma", 1.05070102)
    formula = f"{gamma:g} * (x if x > 0 else {alpha:g} * (exp(x) - 1))"
    return Function("selu", formula, lambda x: gamma * (x if x > 0 else alpha * math.expm1(x)))


def _hard_sigmoid(_graph: Graph, node: Node, _channel: int) -> Function:
    alpha, beta = node.number("alpha", 0.2), node.number("beta", 0.5)
    formula = f"clip({alpha:g} * x + {beta:g}, 0, 1)"
    return Function("hard_sigmoid", formula, lambda x: min(max(alpha * x + beta, 0.0), 1.0))


def _clip(graph: Graph, node: Node, _channel: int) -> Function:
    low, high = _bound(graph, node, 1, "min", -math.inf), _bound(graph, node, 2, "max", math.inf)
    return Function("clip", f"clip(x, {low:g}, {high:g})", lambda x: min(max(x, low), high))


def _bound(graph: Graph, node: Node, position: int, attribute: str, default: float) -> float:
    if len(node.inputs) > position and node.inputs[position] in graph.constants:
        return float(graph.constants[node.inputs[position]].item())
    return node.number(attribute, default)


def _gelu(_graph: Graph, node: Node, _channel: int) -> Function:
    if node.text("approximate", "none") == "tanh":
        root = math.sqrt(2 / math.pi)
        formula = "x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))"
        return Function("gelu", formula, lambda x: x / 2 * (1 + math.tanh(root * (x + 0.044715 * x**3))))
    return Function("gelu", "x / 2 * (1 + erf(x / sqrt(2)))", lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2))))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


_MAKERS: Mapping[str, Callable[[Graph, Node, int], Function]] = {
    "Cast": _fixed("cast", "x", lambda x: x),
    "Clip": _clip,
    "Elu": _elu,
    "Erf": _fixed("erf", "erf(x)", math.erf),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda _graph, _node, _channel: hard_swish(),
    "LeakyRelu": _leaky,
    "Mish": _fixed("mish", "x * tanh(ln(1 + exp(x)))", lambda x: x * math.tanh(_softplus(x))),
    "PRelu": _prelu,
    "Relu": _fixed("relu", "max(x, 0)", lambda x: max(x, 0.0)),
    "Selu": _selu,
    "Sigmoid": _fixed("sigmoid", "1 / (1 + exp(-x))", _sigmoid),
    "Softplus": _fixed("softplus", "ln(1 + exp(x))", _softplus),
    "Softsign": _fixed("softsign", "x / (1 + |x|)", lambda x: x / (1 + abs(x))),
    "Tanh": _fixed("tanh", "tanh(x)", math.tanh),
}
