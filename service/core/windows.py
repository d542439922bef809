"""The sliding windows, receptive fields and costs of a graph's operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from service.core.geometry import Field, Sides, Size, Window, same
from service.core.graph import Graph, Node

CONVOLUTIONS = frozenset({"Conv"})
POOLS = frozenset({"MaxPool", "AveragePool", "LpPool"})
GLOBAL_POOLS = frozenset({"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"})
REDUCTIONS = frozenset({"ReduceMean", "ReduceMax", "ReduceSum", "ReduceMin", "ReduceL2"})
DENSE = frozenset({"Gemm", "MatMul"})

#: Operations whose every value depends on values at the same place only.
_POINTWISE_WORDS = """
    Abs Add BatchNormalization Cast CastLike Ceil Celu Clip Concat DequantizeLinear Div Dropout Elu Erf Exp Floor Gelu
    Gemm HardSigmoid HardSwish Identity LRN LeakyRelu Log Max Mean Min Mish Mul Neg PRelu Pow QuantizeLinear Reciprocal
    Relu Round Selu Sigmoid Softplus Softsign Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Unsqueeze
"""
_POINTWISE = frozenset(_POINTWISE_WORDS.split())
_LAYOUTS = frozenset({(0, 3, 1, 2), (0, 2, 3, 1)})  # channels last to first, and back
_MAP = 3  # axes per item of a map: channels, height, width
_SPATIAL = frozenset({2, 3})


def grid(graph: Graph, tensor: str) -> Size | None:
    """Height and width of a map [channels, height, width]; None for tensors that are none."""
    known = graph.types.get(tensor)
    return (known.shape[1], known.shape[2]) if known is not None and len(known.shape) == _MAP else None


def window(graph: Graph, node: Node) -> Window | None:
    """The window that a convolution or pool slides over a map; None for everything else."""
    size = grid(graph, node.inputs[0]) if node.inputs else None
    if size is None:
        return None
    if node.op in GLOBAL_POOLS or (node.op in REDUCTIONS and _reduced(graph, node) >= _SPATIAL):
        return Window(size)
    kernel = _kernel(graph, node)
    if kernel is None:
        return None
    slid = Window(
        kernel,
        _two(node.integers("strides", (1, 1))),
        _two(node.integers("dilations", (1, 1))),
        ceil=node.integer("ceil_mode", 0) == 1,
    )
    return replace(slid, padding=_padding(node, slid, size))


def padding(graph: Graph, node: Node) -> Sides | None:
    """Zeros that a Pad adds around a map; None for other nodes, other padding, and pads of other axes."""
    if node.op != "Pad" or node.text("mode", "constant") != "constant":
        return None
    value = graph.constants.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    amounts = graph.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if amounts is None or amounts.shape != (8,) or (value is not None and value.any()):
        return None
    n0, c0, top, left, n1, c1, bottom, right = (int(each) for each in amounts)
    return None if n0 or c0 or n1 or c1 else (top, left, bottom, right)


def macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of one node for one picture; of convolutions and dense layers only."""
    produced = graph.types.get(node.output)
    weight = graph.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if produced is None or weight is None:
        return 0
    if node.op in CONVOLUTIONS:
        return produced.size * prod(weight.shape[1:])
    if node.op == "Gemm":
        return produced.size * int(weight.shape[1 if node.integer("transB", 0) else 0])
    if node.op == "MatMul":
        return produced.size * int(weight.shape[-2])
    return 0


def fields(graph: Graph) -> Mapping[str, Field | None]:
    """The receptive field of every tensor that depends on the picture; None where an operation is not understood."""
    known: dict[str, Field | None] = {name: Field() for name in graph.inputs}
    for node in graph.nodes:
        sources = [name for name in node.inputs if name in known]
        if sources:
            seen = _field(graph, node, sources, known)
            known.update((output, seen) for output in node.outputs if output)
    return known


def _field(graph: Graph, node: Node, sources: list[str], known: Mapping[str, Field | None]) -> Field | None:
    hull = _hull(graph, node, sources, known)
    size = grid(graph, sources[0])
    slid = window(graph, node)
    if hull is None:
        return None
    if slid is not None:
        return hull.whole(slid.kernel) if node.op in GLOBAL_POOLS | REDUCTIONS else hull.through(slid)
    if (zeros := padding(graph, node)) is not None:
        return hull.through(Window((1, 1), padding=zeros))
    if _keeps_places(graph, node, sources[0]):
        return hull
    flattened = node.op in {"Flatten", "Reshape"} and grid(graph, node.output) is None
    if size is not None and (flattened or node.op in {"InstanceNormalization", "GroupNormalization"}):
        return hull.whole(size)
    return None


def _hull(graph: Graph, node: Node, sources: list[str], known: Mapping[str, Field | None]) -> Field | None:
    """The union of the fields of all inputs."""
    hull = known[sources[0]]
    for name in sources[1:]:
        other = known[name]
        if hull is None or other is None:
            return None
        hull = hull.union(other, grid(graph, node.output) or (1, 1))
    return hull


def _keeps_places(graph: Graph, node: Node, source: str) -> bool:
    """Whether every value comes from values at the same place."""
    before, after = grid(graph, source), grid(graph, node.output)
    if node.op == "Transpose":
        return node.integers("perm", ()) in _LAYOUTS
    if node.op in {"Softmax", "LogSoftmax", "Concat", "Split"}:
        return node.integer("axis", -1 if node.op.endswith("Softmax") else 0) == 1 or before is None
    if node.op == "MatMul":
        return before is None
    return node.op in _POINTWISE or (node.op in {"Reshape", "Flatten", "Slice", *REDUCTIONS} and before == after)


def _kernel(graph: Graph, node: Node) -> Size | None:
    if node.op not in CONVOLUTIONS | POOLS:
        return None
    kernel = node.integers("kernel_shape", ())
    if not kernel and len(node.inputs) > 1 and node.inputs[1] in graph.constants:
        kernel = graph.constants[node.inputs[1]].shape[2:]
    return _two(kernel) if len(kernel) == 2 else None


def _padding(node: Node, slid: Window, size: Size) -> Sides:
    auto = node.text("auto_pad", "NOTSET")
    if auto == "VALID":
        return (0, 0, 0, 0)
    if not auto.startswith("SAME"):
        top, left, bottom, right = node.integers("pads", (0, 0, 0, 0))
        return (top, left, bottom, right)
    top, left, bottom, right = same(slid, size)
    return (bottom, right, top, left) if auto == "SAME_LOWER" else (top, left, bottom, right)


def _reduced(graph: Graph, node: Node) -> frozenset[int]:
    """The axes that a reduction removes, counted from 0 with the batch axis, of a map."""
    axes = node.integers("axes", ())
    if not axes and len(node.inputs) > 1 and node.inputs[1] in graph.constants:
        axes = tuple(int(axis) for axis in graph.constants[node.inputs[1]].ravel())
    return frozenset(axis % (_MAP + 1) for axis in axes)


def _two(values: tuple[int, ...]) -> Size:
    first, second = values
    return (first, second)
