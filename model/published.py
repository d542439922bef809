"""`vitrine-model describe` of a published model: its layers, read from the file as the server reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper
from rich.table import Table

from service.core.anatomy import describe
from service.core.geometry import Field
from service.core.graph import Attribute, Graph, Node, TensorType
from service.core.layers import LayerInfo, Role
from service.core.spec import Spec


def layers(model: bytes, spec: Spec) -> tuple[LayerInfo, ...]:
    """The layers of an exported file, with window, formulas, cost and receptive field; blocks before their content.

    Operations of no module are there when they weigh, slide or merge: normalisation and reshaping are left out.
    """
    graph = _graph(onnx.load_from_string(model).graph)
    return tuple(row for row in describe(graph, spec.layers, graph.types.keys()) if _matters(row))


def table(rows: Sequence[LayerInfo], title: str) -> Table:
    """One row per layer, totals in the last; the numbers of a block (dim) are in those of its layers already."""
    leaves = [row for row in rows if Role.BLOCK not in row.roles]
    result = Table(title=title, title_justify="left", show_footer=True)
    result.add_column("layer", footer="total", overflow="fold")
    result.add_column("class")
    for heading in ("kernel", "stride", "padding"):
        result.add_column(heading, justify="right")
    result.add_column("output", justify="right")
    result.add_column("size formula", overflow="fold")
    result.add_column("parameters", justify="right", footer=f"{sum(row.parameters for row in leaves):,}")
    result.add_column("MACs", justify="right", footer=f"{sum(row.macs for row in leaves):,}")
    result.add_column("receptive field", overflow="fold")
    for row in rows:
        result.add_row(*_cells(row), style="dim" if Role.BLOCK in row.roles else "")
    return result


def _matters(row: LayerInfo) -> bool:
    return row.named_by == "module" or row.window is not None or row.parameters > 0 or Role.MERGE in row.roles


def _graph(proto: onnx.GraphProto) -> Graph:
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.initializer}
    typed = (*proto.input, *proto.value_info, *proto.output)
    return Graph(
        nodes=tuple(_node(node) for node in proto.node),
        inputs=tuple(value.name for value in proto.input),
        outputs=tuple(value.name for value in proto.output),
        constants=constants,
        types={value.name: _type(value.type.tensor_type) for value in typed if value.name not in constants},
    )


def _node(node: onnx.NodeProto) -> Node:
    attributes = {attribute.name: _attribute(helper.get_attribute_value(attribute)) for attribute in node.attribute}
    return Node(node.name, node.op_type, tuple(node.input), tuple(node.output), attributes)


def _attribute(value: object) -> Attribute:
    match value:
        case bytes():
            return value.decode()
        case onnx.TensorProto():
            return numpy_helper.to_array(value)
        case int() | float():
            return value
        case _:
            assert isinstance(value, Iterable)
            return tuple(value)


def _type(tensor: onnx.TypeProto.Tensor) -> TensorType:
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return TensorType(np.dtype(dtype).name, tuple(axis.dim_value for axis in tensor.shape.dim[1:]))


def _cells(row: LayerInfo) -> tuple[str, ...]:
    window = row.window
    groups = f" ({row.groups} groups)" if row.groups > 1 else ""
    return (
        row.id,
        (row.class_name or " ".join(row.ops)) + groups,
        _by(window.kernel) + ("" if window.dilation == (1, 1) else f" dilation {_by(window.dilation)}")
        if window
        else "",
        _by(window.stride) if window else "",
        ",".join(map(str, window.padding)) if window else "",
        _by(row.type.shape),
        "\n".join(row.formulas),
        f"{row.parameters:,}" if row.parameters else "",
        f"{row.macs:,}" if row.macs else "",
        _field(row.field) if row.field else "",
    )


def _field(field: Field) -> str:
    """Like "5x5 /2 @-2": spans 5x5 pixels, moves by 2 from unit to unit, starts at pixel -2 for the first."""
    jump, start = (str(a) if a == b else f"{a},{b}" for a, b in (field.jump, field.start))
    return f"{_by(field.size)} /{jump} @{start}"


def _by(numbers: Sequence[int]) -> str:
    return "x".join(map(str, numbers))
