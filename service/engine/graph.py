"""ONNX files: read into `core.graph.Graph`, and rewritten to give other tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from google.protobuf.message import DecodeError

from service.core.errors import InvalidInput, Refused
from service.core.gradients import CLASS_WEIGHTS, Backward
from service.core.graph import Array, Attribute, Graph, Node, TensorType, ancestors
from service.core.spec import OUTPUT_NAME
from service.rpc.pb.vitrine.internal import onnx_pb2 as pb

#: TensorProto.DataType -> NumPy's name. bfloat16 (16) and the 8-bit floats have none and are left out.
DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
DTYPES_BY_NAME = {name: number for number, name in DTYPES.items()}
_OWN_DOMAIN = frozenset({"", "ai.onnx"})
_GRADIENT_OPSET = 16  # ScatterElements adds from here on
_EXTERNAL = 1
_FLOAT16 = 10


def parse(model: bytes) -> pb.Model:
    """Parse the bytes of an ONNX file; raises `InvalidInput`."""
    try:
        parsed = pb.Model.FromString(model)
    except DecodeError:
        raise InvalidInput("file", "must be an ONNX model", f"{len(model)} bytes of something else") from None
    if not parsed.HasField("graph"):
        raise InvalidInput("file", "must be an ONNX model with a graph", f"{len(model)} bytes without")
    return parsed


def read(model: bytes) -> Graph:
    """The graph of an ONNX file, constants as arrays; raises `InvalidInput`."""
    graph = parse(model).graph
    constants = {tensor.name: to_array(tensor) for tensor in graph.initializer}
    constants |= {node.output[0]: _constant(node) for node in graph.node if node.op_type == "Constant"}
    infos = (*graph.input, *graph.value_info, *graph.output)
    return Graph(
        nodes=tuple(_node(node) for node in graph.node if node.op_type != "Constant"),
        inputs=tuple(value.name for value in graph.input if value.name not in constants),
        outputs=tuple(value.name for value in graph.output),
        constants=constants,
        types={info.name: known for info in infos if (known := _type(info)) is not None},
    )


def tapped(model: pb.Model, tensors: Sequence[str]) -> bytes:
    """An ONNX file that gives `tensors` and holds no node or weight that they do not need."""
    kept = _needed_nodes(model.graph, tensors)
    used = {name for node in kept for name in _needs(node)}
    cut = pb.Model()
    cut.CopyFrom(model)
    graph = cut.graph
    for repeated in (graph.node, graph.initializer, graph.value_info, graph.output):
        del repeated[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in used)
    graph.output.extend(pb.ValueInfo(name=name) for name in tensors)  # ONNX Runtime infers their types
    return cut.SerializeToString()


def behind(model: pb.Model, tensor: str, known: TensorType) -> bytes:
    """An ONNX file of what follows `tensor` only, which it takes in the place of the picture: tensor -> logits.

    Raises `Refused` when the logits need more of the picture than goes through that tensor.
    """
    kept = _needed_nodes(model.graph, [OUTPUT_NAME], [tensor])
    if any(value.name in _needs(node) for node in kept for value in model.graph.input):
        raise Refused(f"{tensor}: not everything that the logits depend on goes through it")
    head = pb.Model()
    head.CopyFrom(model)
    del head.graph.node[:], head.graph.input[:]
    head.graph.node.extend(kept)
    head.graph.input.append(_value_info(tensor, DTYPES_BY_NAME[known.dtype], known.shape))
    return head.SerializeToString()


def differentiated(model: pb.Model, backward: Backward) -> bytes:
    """An ONNX file that also computes a gradient, and takes the weights of the logits beside the picture.

    Raises `Refused` for files whose operations are older than those that the derivatives are written in.
    """
    opset = next((each.version for each in model.opset_import if each.domain in _OWN_DOMAIN), 0)
    if opset < _GRADIENT_OPSET:
        raise Refused(f"derivatives are known from opset {_GRADIENT_OPSET} on, the file is written in {opset}")
    grown = pb.Model()
    grown.CopyFrom(model)
    (logits,) = model.graph.output
    grown.graph.input.append(pb.ValueInfo(name=CLASS_WEIGHTS, type=logits.type))
    grown.graph.node.extend(_to_node(node) for node in backward.nodes)
    grown.graph.initializer.extend(to_tensor(name, value) for name, value in backward.constants.items())
    return grown.SerializeToString()


def to_tensor(name: str, value: Array) -> pb.Tensor:
    """An array as an ONNX tensor."""
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return pb.Tensor(name=name, dims=value.shape, data_type=DTYPES_BY_NAME[value.dtype.name], raw_data=little.tobytes())


def to_array(tensor: pb.Tensor) -> Array:
    """A tensor's values; raises `InvalidInput` for types without NumPy's, and for values in another file."""
    if tensor.data_type not in DTYPES:
        raise InvalidInput(f"tensor {tensor.name}", f"a type out of {', '.join(DTYPES.values())}", tensor.data_type)
    if tensor.data_location == _EXTERNAL:
        raise InvalidInput(f"tensor {tensor.name}", "must lie inside the model file", "external data")
    dtype = np.dtype(DTYPES[tensor.data_type])
    shape = tuple(tensor.dims)
    if tensor.HasField("raw_data"):
        return np.frombuffer(tensor.raw_data, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
    fields = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    values = next((list(values) for values in fields if values), [])
    if tensor.data_type == _FLOAT16:  # by the bits, in 32-bit integers
        return np.array(values, np.uint16).view(np.float16).reshape(shape)
    return np.array(values, dtype).reshape(shape)


def _value_info(name: str, dtype: int, shape: Sequence[int]) -> pb.ValueInfo:
    """A graph input [N, *shape]."""
    axes = [pb.Dimension(dim_param="batch"), *(pb.Dimension(dim_value=size) for size in shape)]
    return pb.ValueInfo(name=name, type=pb.Type(tensor_type=pb.TensorType(elem_type=dtype, shape=pb.Shape(dim=axes))))


def _to_node(node: Node) -> pb.Node:
    attributes = [_to_attribute(name, value) for name, value in node.attributes.items()]
    return pb.Node(name=node.name, op_type=node.op, input=node.inputs, output=node.outputs, attribute=attributes)


def _to_attribute(name: str, value: Attribute) -> pb.Attribute:
    kind = pb.Attribute
    match value:
        case int():
            return pb.Attribute(name=name, type=kind.INT, i=value)
        case float():
            return pb.Attribute(name=name, type=kind.FLOAT, f=value)
        case str():
            return pb.Attribute(name=name, type=kind.STRING, s=value.encode())
        case np.ndarray():
            return pb.Attribute(name=name, type=kind.TENSOR, t=to_tensor("", value))
        case _:
            return pb.Attribute(name=name, type=kind.INTS, ints=[int(each) for each in value])


def _needed_nodes(graph: pb.Graph, tensors: Sequence[str], stop: Sequence[str] = ()) -> list[pb.Node]:
    whole = Graph(tuple(_node(node) for node in graph.node), (), (), {}, {})
    outputs = {node.output for node in ancestors(whole, tensors, stop)}
    return [node for node in graph.node if node.output[0] in outputs]


def _needs(node: pb.Node) -> Iterator[str]:
    yield from node.input
    yield from _captures(node)


def _captures(node: pb.Node) -> Iterator[str]:
    """Names that a node's subgraphs use; those that they define themselves do no harm."""
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for inner in graph.node:
                yield from _needs(inner)
            yield from (value.name for value in graph.output)


def _node(node: pb.Node) -> Node:
    return Node(
        name=node.name,
        op=node.op_type if node.domain in _OWN_DOMAIN else f"{node.domain}.{node.op_type}",
        inputs=tuple(node.input),
        outputs=tuple(node.output),
        attributes={a.name: value for a in node.attribute if (value := _attribute(a)) is not None},
        captures=tuple(dict.fromkeys(_captures(node))),
    )


def _attribute(attribute: pb.Attribute) -> Attribute | None:  # noqa: PLR0911  # one case per type
    kind = pb.Attribute
    match attribute.type:
        case kind.INT:
            return attribute.i
        case kind.FLOAT:
            return attribute.f
        case kind.STRING:
            return attribute.s.decode()
        case kind.INTS:
            return tuple(attribute.ints)
        case kind.FLOATS:
            return tuple(attribute.floats)
        case kind.STRINGS:
            return tuple(text.decode() for text in attribute.strings)
        case kind.TENSOR:
            return to_array(attribute.t)
        case _:
            return None


def _constant(node: pb.Node) -> Array:
    """The value of a Constant node, in whichever of its spellings."""
    value = next(iter(_node(node).attributes.values()), None)
    return np.asarray(value, np.float32 if isinstance(value, float) else None)


def _type(info: pb.ValueInfo) -> TensorType | None:
    """Type and shape per item, where the file states both."""
    tensor = info.type.tensor_type
    sizes = [dim.dim_value for dim in tensor.shape.dim][1:]
    if tensor.elem_type not in DTYPES or not tensor.HasField("shape") or not all(sizes):
        return None
    return TensorType(DTYPES[tensor.elem_type], tuple(sizes))


def with_types(graph: Graph, types: Iterable[tuple[str, TensorType]]) -> Graph:
    """The graph with more tensors' types known."""
    return replace(graph, types={**graph.types, **dict(types)})
