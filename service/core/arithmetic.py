"""Computing one unit again from its inputs and weights, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core import anatomy, windows
from service.core.activations import Function, function, hard_swish, silu
from service.core.errors import InvalidInput, Refused
from service.core.geometry import Box, Window
from service.core.graph import Array, Graph, Node
from service.core.layers import LayerInfo
from service.core.maps import as_maps, maps_shape
from service.core.units import (
    ActivationUnit,
    ConvUnit,
    DenseUnit,
    Explained,
    MergeUnit,
    NormUnit,
    Patch,
    Place,
    PoolUnit,
    SoftmaxUnit,
    Unit,
)

Values = Mapping[str, Array]  #: tensors of one picture, [1, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """The operation that gives a layer's output, and what of the layer belongs to it."""

    node: Node
    nodes: tuple[Node, ...]


def needed(graph: Graph, layer: LayerInfo) -> tuple[str, ...]:
    """The tensors that `explain` must be given."""
    step = _step(graph, layer)
    inputs = dict.fromkeys(name for node in step.nodes for name in graph.activations(node))
    return (layer.tensor, *(name for name in inputs if name != layer.tensor))


def explain(graph: Graph, layer: LayerInfo, place: Place, values: Values) -> Explained:
    """Compute one unit again, in float64, from its inputs. A dense layer's units are channels of one place.

    Raises `InvalidInput` for a place outside the layer, `Refused` for an operation that has no explanation here.
    """
    for name, at, limit in zip(("channel", "y", "x"), place, maps_shape(layer.type.shape), strict=True):
        if not 0 <= at < limit:
            raise InvalidInput(name, f"0 to {limit - 1} in layer {layer.id}", at)
    step = _step(graph, layer)
    for explainer in _EXPLAINERS:
        found = explainer(graph, step, place, values)
        if found is not None:
            return Explained(float(as_maps(values[layer.tensor][0])[place]), *found)
    raise Refused(f"layer {layer.id}: the arithmetic of {step.node.op} is not explained")


Found = tuple[float, Unit]
_Explainer = Callable[[Graph, _Step, Place, Values], Found | None]


def _step(graph: Graph, layer: LayerInfo) -> _Step:
    """The last operation of a layer, with those before it that only make sense together."""
    nodes = anatomy.members(graph, layer)
    producers = {node.output: node for node in nodes}
    last = producers[layer.tensor]
    before = [producers[name] for name in last.inputs if name in producers]
    return _Step(last, (*(node for node in before if _belongs(graph, node, last)), last))


def _belongs(graph: Graph, node: Node, last: Node) -> bool:
    if last.op in windows.CONVOLUTIONS:
        return windows.padding(graph, node) is not None
    if last.op == "Mul":  # the gate of SiLU and HardSwish
        return node.op in {"Sigmoid", "HardSigmoid"} and node.inputs[0] in last.inputs
    return last.op == "Add" and node.op == "MatMul" and len(graph.activations(last)) == 1


def _convolution(graph: Graph, step: _Step, place: Place, values: Values) -> Found | None:
    slid = anatomy.sliding(graph, step.nodes)
    if slid is None or step.node.op not in windows.CONVOLUTIONS:
        return None
    window, node, source = slid
    kernels = _weights(graph, node, 1)[place[0]].astype(np.float64)
    maps = values[source][0].astype(np.float64)
    per_group = len(_weights(graph, node, 1)) // node.integer("group", 1)
    first = place[0] // per_group * len(kernels)
    patches = [_patch(maps, first + i, kernel, window, place) for i, kernel in enumerate(kernels)]
    bias = float(_weights(graph, node, 2)[place[0]]) if len(node.inputs) > 2 and node.inputs[2] else 0.0
    patches.sort(key=lambda patch: -abs(patch.sum))
    return math.fsum(patch.sum for patch in patches) + bias, ConvUnit(tuple(patches), bias, window)


def _patch(maps: Array, channel: int, kernel: NDArray[np.float64], window: Window, place: Place) -> Patch:
    seen, is_padding = _seen(maps[channel], window, place)
    products = seen * kernel
    return Patch(channel, seen, kernel, products, is_padding, math.fsum(products.ravel()))


def _seen(values: Array, window: Window, place: Place) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What a window sees of one map, zeros where it looks past the edge, and where that is."""
    rows, columns = (_taps(window, axis, place[axis + 1]) for axis in (0, 1))
    outside = [(at < 0) | (at >= size) for at, size in zip((rows, columns), values.shape, strict=True)]
    is_padding = outside[0][:, np.newaxis] | outside[1]
    inside = values[np.ix_(*(np.where(out, 0, at) for out, at in zip(outside, (rows, columns), strict=True)))]
    return np.where(is_padding, 0.0, inside.astype(np.float64)), is_padding


def _taps(window: Window, axis: int, at: int) -> NDArray[np.intp]:
    return at * window.stride[axis] - window.padding[axis] + np.arange(window.kernel[axis]) * window.dilation[axis]


def _pool(graph: Graph, step: _Step, place: Place, values: Values) -> Found | None:
    node = step.node
    window = windows.window(graph, node)
    kind = _POOLS.get(node.op)
    if window is None or kind is None:
        return None
    seen, is_padding = _seen(values[node.inputs[0]][0, place[0]], window, place)
    at = Box(*(int(_taps(window, axis, place[axis + 1])[end]) + (end != 0) for end in (0, -1) for axis in (0, 1)))
    if kind == "max":
        flat = int(np.argmax(np.where(is_padding, -np.inf, seen)))
        winner = (flat // seen.shape[1], flat % seen.shape[1])
        return float(seen[winner]), PoolUnit(kind, seen, is_padding, winner, 1.0, at, window.dilation)
    divisor = _divisor(graph, node, window, place, is_padding) if kind == "average" else 1.0
    return math.fsum(seen.ravel()) / divisor, PoolUnit(kind, seen, is_padding, None, divisor, at, window.dilation)


_POOLS = {
    "MaxPool": "max",
    "GlobalMaxPool": "max",
    "ReduceMax": "max",
    "AveragePool": "average",
    "GlobalAveragePool": "average",
    "ReduceMean": "average",
    "ReduceSum": "sum",
}


def _divisor(graph: Graph, node: Node, window: Window, place: Place, is_padding: NDArray[np.bool_]) -> float:
    """How many values a mean counts: with padding counted, those of the padded map, beyond which a last window goes."""
    if not node.integer("count_include_pad", 0):
        return float((~is_padding).sum())
    size = windows.grid(graph, node.inputs[0])
    assert size is not None
    counted = 1
    for axis in (0, 1):
        counted *= int((_taps(window, axis, place[axis + 1]) < size[axis] + window.padding[axis + 2]).sum())
    return float(counted)


def _activation(graph: Graph, step: _Step, place: Place, values: Values) -> Found | None:
    found = _gated(step) or function(graph, step.node, place[0])
    if found is None:
        return None
    source = step.nodes[0].inputs[0]
    x = float(as_maps(values[source][0])[place])
    return found.apply(x), ActivationUnit(found.name, found.formula, x)


def _gated(step: _Step) -> Function | None:
    """SiLU or HardSwish, spelled as x times a gate of x."""
    if len(step.nodes) == 1 or step.node.op != "Mul":
        return None
    return silu() if step.nodes[0].op == "Sigmoid" else hard_swish()


def _norm(graph: Graph, step: _Step, place: Place, values: Values) -> Found | None:
    node = step.node
    if node.op != "BatchNormalization":
        return None
    scale, shift, mean, variance = (float(_weights(graph, node, i)[place[0]]) for i in (1, 2, 3, 4))
    x = float(as_maps(values[node.inputs[0]][0])[place])
    epsilon = node.number("epsilon", 1e-5)
    value = (x - mean) / math.sqrt(variance + epsilon) * scale + shift
    return value, NormUnit(x, mean, variance, epsilon, scale, shift)


def _dense(graph: Graph, step: _Step, place: Place, values: Values) -> Found | None:
    node = step.nodes[0]
    if node.op not in windows.DENSE or values[node.inputs[0]].ndim != 2:
        return None
    matrix = _weights(graph, node, 1).astype(np.float64)
    transposed = node.op == "Gemm" and node.integer("transB", 0)
    weights = (matrix[place[0]] if transposed else matrix[:, place[0]]) * node.number("alpha", 1.0)
    inputs = values[node.inputs[0]][0].astype(np.float64)
    products = inputs * weights
    bias = _dense_bias(graph, step, place[0])
    return math.fsum(products) + bias, DenseUnit(inputs, weights, np.argsort(-np.abs(products), kind="stable"), bias)


def _dense_bias(graph: Graph, step: _Step, channel: int) -> float:
    node = step.node
    if node.op == "Add":
        (name,) = (name for name in node.inputs if name in graph.constants)
    elif node.op == "Gemm" and len(node.inputs) > 2 and node.inputs[2]:
        name = node.inputs[2]
    else:
        return 0.0
    biases = graph.constants[name].ravel()
    return float(biases[channel % biases.size]) * node.number("beta", 1.0)


def _softmax(_graph: Graph, step: _Step, place: Place, values: Values) -> Found | None:
    node = step.node
    if node.op not in {"Softmax", "LogSoftmax"}:
        return None
    source = values[node.inputs[0]]
    axis = node.integer("axis", -1) % source.ndim
    at = list(np.unravel_index(np.ravel_multi_index(place, as_maps(source[0]).shape), source.shape))
    index = int(at[axis])
    at[axis] = slice(None)  # type: ignore[call-overload]
    x = source[tuple(at)].astype(np.float64)
    powers = np.exp(x - x.max())
    share = float(powers[index] / powers.sum())
    is_log = node.op == "LogSoftmax"
    return math.log(share) if is_log else share, SoftmaxUnit(x, index, is_log)


_JOINS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Add": math.fsum,
    "Sum": math.fsum,
    "Sub": lambda terms: terms[0] - terms[1],
    "Mul": math.prod,
    "Div": lambda terms: terms[0] / terms[1],
    "Pow": lambda terms: terms[0] ** terms[1],
    "Max": max,
    "Min": min,
    "Mean": lambda terms: math.fsum(terms) / len(terms),
}


def _merge(graph: Graph, step: _Step, place: Place, values: Values) -> Found | None:
    node = step.node
    join = _JOINS.get(node.op)
    if join is None:
        return None
    shape = np.broadcast_shapes(*(_value(graph, values, name).shape for name in node.inputs))
    at = np.unravel_index(np.ravel_multi_index(place, maps_shape(shape[1:])), shape)
    terms = [(name, float(np.broadcast_to(_value(graph, values, name), shape)[at])) for name in node.inputs]
    return join([term for _, term in terms]), MergeUnit(node.op, tuple(terms))


def _moved(graph: Graph, step: _Step, place: Place, values: Values) -> Found | None:
    """Operations that only move values: which one came here."""
    node = step.node
    if node.op == "Concat":
        return _concatenated(graph, node, place, values)
    source = values.get(node.inputs[0])
    if source is None or node.op not in {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Transpose"}:
        return None
    if node.op == "Transpose":
        source = source.transpose(node.integers("perm", tuple(reversed(range(source.ndim)))))
    flat = int(np.ravel_multi_index(place, maps_shape(graph.types[node.output].shape)))
    value = float(source.ravel()[flat])
    return value, MergeUnit(node.op, ((node.inputs[0], value),))


def _concatenated(graph: Graph, node: Node, place: Place, values: Values) -> Found | None:
    if node.integer("axis", 1) != 1:
        return None
    channel, sources = place[0], iter(node.inputs)
    name = next(sources)
    while channel >= (size := _value(graph, values, name).shape[1]):
        channel, name = channel - size, next(sources)
    value = float(as_maps(_value(graph, values, name)[0])[channel, place[1], place[2]])
    return value, MergeUnit("Concat", ((name, value),))


def _value(graph: Graph, values: Values, name: str) -> Array:
    return values[name] if name in values else graph.constants[name]


def _weights(graph: Graph, node: Node, position: int) -> Array:
    """A weight; raises `Refused` when it is computed instead of stored."""
    name = node.inputs[position]
    if name not in graph.constants:
        raise Refused(f"{node.op} {node.name}: its weights {name} are computed, which is not explained")
    return graph.constants[name]


_EXPLAINERS: tuple[_Explainer, ...] = (_convolution, _pool, _activation, _norm, _dense, _softmax, _merge, _moved)
