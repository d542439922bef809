"""`vitrine-model describe` of a published model: its layers, read from the file as the server reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper
from rich.table import Table

from model import layer_table
from model.layer_table import Line
from service.core.anatomy import describe
from service.core.graph import Attribute, Graph, Node, TensorType
from service.core.layers import LayerInfo, Role
from service.core.quantised import with_float_weights
from service.core.spec import Spec


def layers(model: bytes, spec: Spec) -> tuple[LayerInfo, ...]:
    """The layers of an exported file, with window, formulas, cost and receptive field; blocks before their content.

    Operations of no module are there when they weigh, slide or merge: normalisation and reshaping are left out.
    """
    proto = onnx.load_from_string(model)
    # The quantiser writes no types of the tensors that it adds.
    typed = onnx.shape_inference.infer_shapes(proto) if spec.variant == "int8" else proto
    graph = with_float_weights(_graph(typed.graph))
    return tuple(row for row in describe(graph, spec.layers, graph.types.keys()) if _matters(row))


def table(rows: Sequence[LayerInfo], title: str) -> Table:
    """One row per layer, totals in the last; the numbers of a block (dim) are in those of its layers already."""
    return layer_table.table([_line(row) for row in rows], title)


def _line(row: LayerInfo) -> Line:
    return Line(
        layer=row.id,
        kind=row.class_name or " ".join(row.ops),
        shape=row.type.shape,
        window=row.window,
        groups=row.groups,
        formulas=row.formulas,
        parameters=row.parameters,
        macs=row.macs,
        field=row.field,
        block=Role.BLOCK in row.roles,
    )


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
