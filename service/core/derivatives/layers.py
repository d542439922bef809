"""Layers with weights or windows, means, and softmax."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from service.core import windows
from service.core.derivatives.rule import Parts, Rule
from service.core.errors import Refused
from service.core.geometry import Size, Window
from service.core.graph import Attribute, Node
from service.core.tape import Tape


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


RULES: Mapping[str, Rule] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "Gemm": _gemm,
    "GlobalAveragePool": _reduce,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,
    "Softmax": _softmax,
}
