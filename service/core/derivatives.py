"""The derivative of each operation, as operations: what the gradient of an output adds to those of the inputs.

Where a function has a corner, the rule takes PyTorch's side of it, so that both give the same map.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from service.core import windows
from service.core.errors import Refused
from service.core.geometry import Size, Window
from service.core.graph import Attribute, Node
from service.core.tape import Tape

Parts = Iterator[tuple[str, str]]  # an input, and what is added to its gradient
Rule = Callable[[Tape, Node, str], Parts]


def _identity(_tape: Tape, node: Node, g: str) -> Parts:
    yield node.inputs[0], g


# --- functions of single values


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


# --- arithmetic, with broadcasting


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


# --- layers


def _conv(tape: Tape, node: Node, g: str) -> Parts:
    """The transposed convolution (Dumoulin & Visin 2016, section 4)."""
    x, weight = node.inputs[:2]
    tape.known(weight, node)
    yield x, _scattered(tape, node, g, weight, node.integer("group", 1))


def _average_pool(tape: Tape, node: Node, g: str) -> Parts:
    """Each unit gets its share from every window that it lies in."""
    x = node.inputs[0]
    slid, (channels, height, width) = _window(tape, node), tape.shape(x)
    include = node.integer("count_include_pad", 0) == 1
    units = tape.shape(node.output)[1:]
    rows, columns = (_counts(slid, (height, width), units, axis, include) for axis in (0, 1))
    share = tape.emit("Div", g, tape.constant(np.outer(rows, columns).astype(np.float32)[np.newaxis, np.newaxis]))
    ones = tape.constant(np.ones((channels, 1, *slid.kernel), np.float32))
    yield x, _scattered(tape, node, share, ones, channels)


def _max_pool(tape: Tape, node: Node, g: str) -> Parts:
    """The winner of each window gets it all. Positions count through the whole batch, so all is flat for a while."""
    x = node.inputs[0]
    places = tape.emit("Reshape", tape.indices(node), tape.integers([-1]))
    size = tape.emit("Shape", tape.emit("Reshape", x, tape.integers([-1])))
    zeros = tape.emit("ConstantOfShape", size, value=np.zeros(1, np.float32))
    flat = tape.emit("Reshape", g, tape.integers([-1]))
    scattered = tape.emit("ScatterElements", zeros, places, flat, axis=0, reduction="add")
    yield x, tape.reshaped(scattered, tape.shape(x))


def _scattered(tape: Tape, node: Node, g: str, weight: str, groups: int) -> str:
    """Give each unit of a window's input the sum of what all windows hold for it, in exactly the input's size."""
    slid = _window(tape, node)
    before, after = tape.shape(node.inputs[0])[1:], tape.shape(node.output)[1:]
    # How far the last window reaches beyond the input; negative where some rows or columns are in no window.
    beyond = [(after[i] - 1) * slid.stride[i] + slid.span(i) - before[i] - slid.padding[i] for i in (0, 1)]
    attributes: dict[str, Attribute] = {
        "strides": slid.stride,
        "dilations": slid.dilation,
        "pads": (*slid.padding[:2], *(max(each, 0) for each in beyond)),
        "output_padding": tuple(max(-each, 0) for each in beyond),
    }
    return tape.emit("ConvTranspose", g, weight, group=groups, **attributes)


def _window(tape: Tape, node: Node) -> Window:
    slid = windows.window(tape.graph, node)
    if slid is None:
        raise Refused(f"no derivative is known of {node.op} ({node.name or node.output}) over other than two axes")
    return slid


def _counts(
    slid: Window,
    size: Size,
    units: tuple[int, ...],
    axis: int,
    include_padding: bool,  # noqa: FBT001 - ONNX's flag
) -> NDArray[np.int64]:
    """Along one axis: how many positions each window's mean is over."""
    before, after = slid.padding[axis], slid.padding[axis + 2]
    first = np.arange(units[axis])[:, np.newaxis] * slid.stride[axis] - before
    positions = first + np.arange(slid.kernel[axis]) * slid.dilation[axis]
    low, high = (-before, size[axis] + after) if include_padding else (0, size[axis])
    counts: NDArray[np.int64] = ((positions >= low) & (positions < high)).sum(axis=1)
    return counts


def _batch_norm(tape: Tape, node: Node, g: str) -> Parts:
    x, scale, _, _, variance = node.inputs
    deviation = np.sqrt(tape.known(variance, node).astype(np.float64) + node.number("epsilon", 1e-5))
    factor = (tape.known(scale, node) / deviation).astype(np.float32)
    yield x, tape.emit("Mul", g, tape.constant(factor.reshape(-1, *(1 for _ in tape.shape(x)[1:]))))


def _reduce(tape: Tape, node: Node, g: str) -> Parts:
    """Of a mean or a sum: every value that went into it gets the same."""
    x = node.inputs[0]
    shape = tape.shape(x)
    axes = _axes(tape, node, len(shape) + 1)
    if not node.integer("keepdims", 1):
        g = tape.emit("Unsqueeze", g, tape.integers(axes))
    sizes = [shape[axis - 1] if axis in axes else 1 for axis in range(1, len(shape) + 1)]
    share = 1 if node.op == "ReduceSum" else 1 / math.prod(sizes)
    yield x, tape.emit("Mul", g, tape.constant(np.full((1, *sizes), share, np.float32)))


def _axes(tape: Tape, node: Node, rank: int) -> tuple[int, ...]:
    """Which axes are reduced, counted from 0; never the batch axis."""
    if node.op == "GlobalAveragePool":
        return tuple(range(2, rank))
    given = node.integers("axes", ())
    if len(node.inputs) > 1 and node.inputs[1]:
        given = tuple(tape.known(node.inputs[1], node).ravel().tolist())
    axes = tuple(sorted(axis % rank for axis in given))
    if not axes or 0 in axes:
        raise Refused(f"no derivative is known of {node.op} ({node.name or node.output}) over the batch")
    return axes


def _gemm(tape: Tape, node: Node, g: str) -> Parts:
    x, weight = node.inputs[:2]
    tape.known(weight, node)
    turned = {"alpha": node.number("alpha", 1.0), "transB": 1 - node.integer("transB", 0)}
    yield x, tape.emit("Gemm", g, weight, **turned)


def _matmul(tape: Tape, node: Node, g: str) -> Parts:
    x, weight = node.inputs
    yield x, tape.emit("MatMul", g, tape.constant(np.swapaxes(tape.known(weight, node), -1, -2)))


def _softmax(tape: Tape, node: Node, g: str) -> Parts:
    axis = node.integer("axis", -1)
    mean = tape.emit("ReduceSum", tape.emit("Mul", g, node.output), tape.integers([axis]), keepdims=1)
    yield node.inputs[0], tape.emit("Mul", node.output, tape.emit("Sub", g, mean))


# --- layout


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


#: By the operation's name in ONNX. All that the rules write is in opset 16.
RULES: Mapping[str, Rule] = {
    "Add": _add,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _div,
    "Dropout": _identity,
    "Elu": _elu,
    "Erf": _erf,
    "Flatten": _reshape,
    "Gemm": _gemm,
    "GlobalAveragePool": _reduce,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": _mul,
    "Pad": _pad,
    "Reciprocal": _reciprocal,
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,
    "Relu": _relu,
    "Reshape": _reshape,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Softplus": _softplus,
    "Squeeze": _reshape,
    "Sub": _sub,
    "Tanh": _tanh,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
    "Where": _where,
}
