"""From a graph and the names of its modules to everything that can be said about each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from service.core import windows
from service.core.geometry import Field, Window
from service.core.graph import Graph, Node, TensorType, ancestors
from service.core.layers import TENSOR, LayerInfo, Role
from service.core.spec import INPUT_NAME, Layer

_ACTIVATION_WORDS = """
    Celu Clip Elu Erf Gelu HardSigmoid HardSwish LeakyRelu Mish PRelu Relu Selu Sigmoid Softplus Softsign Tanh
    ThresholdedRelu
"""
ACTIVATIONS = frozenset(_ACTIVATION_WORDS.split())
NORMS = frozenset({"BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization", "LRN"})
_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze", "Identity", "Cast", "Pad", "Slice"})
_SUMS = frozenset({"Add", "Sum", "Sub", "Concat", "Max", "Min", "Mean"})

#: What an operation makes of a layer, the strongest first: a layer of Pad and Conv is a convolution.
_ROLES: tuple[tuple[Role, AbstractSet[str]], ...] = (
    (Role.CONVOLUTION, windows.CONVOLUTIONS | {"ConvTranspose"}),
    (Role.DENSE, windows.DENSE),
    (Role.NORM, NORMS),
    (Role.SOFTMAX, frozenset({"Softmax", "LogSoftmax"})),
    (Role.POOL, windows.POOLS | windows.GLOBAL_POOLS),
    (Role.ACTIVATION, ACTIVATIONS),
)
#: Which inputs of an operation are parameters; of others, constants of more than one value are.
_PARAMETERS: Mapping[str, tuple[int, ...]] = {"BatchNormalization": (1, 2), "Conv": (1, 2), "Gemm": (1, 2)}
_NO_PARAMETERS = _RESHAPES | windows.REDUCTIONS | {"Clip", "Resize", "Expand", "Gather"}


@dataclass(frozen=True, slots=True)
class _Named:
    """A layer before it is looked at: its name, and the nodes between its inputs and its output."""

    layer: Layer
    nodes: tuple[Node, ...]
    is_module: bool
    is_block: bool


def describe(graph: Graph, modules: Sequence[Layer], survivors: AbstractSet[str]) -> tuple[LayerInfo, ...]:
    """Every layer in the order in which they start, a block before what it contains: module calls and all between.

    `graph` must know the type of every tensor that depends on the picture; `survivors` are the tensors that are left
    when the model is served.
    """
    named = [*_modules(graph, modules)]
    named += _between(graph, named)
    fields = windows.fields(graph)
    order = {node.output: position for position, node in enumerate(graph.nodes)}
    named.sort(key=lambda each: order[each.nodes[0].output])  # stable: a block stays before what it contains
    infos = [_info(graph, each, fields.get(each.layer.tensor)) for each in named]
    return _related(graph, infos, survivors)


def members(graph: Graph, layer: Layer | LayerInfo) -> tuple[Node, ...]:
    """The nodes between a layer's inputs and its output."""
    return ancestors(graph, [layer.tensor], (*layer.inputs, *graph.inputs))


def _modules(graph: Graph, modules: Sequence[Layer]) -> list[_Named]:
    nodes = {layer.id: members(graph, layer) for layer in modules}
    return [
        _Named(layer, nodes[layer.id], is_module=True, is_block=_is_block(graph, layer, modules, nodes))
        for layer in modules
    ]


def _is_block(graph: Graph, layer: Layer, modules: Sequence[Layer], nodes: Mapping[str, tuple[Node, ...]]) -> bool:
    """Whether a module is best told as what it contains.

    A convolution that keeps its padding in a module of its own is still one convolution.
    """
    inner = [other for other in modules if other.path.startswith(f"{layer.path}.")]
    inside = {node.output for other in inner for node in nodes[other.id]}
    slid = sliding(graph, nodes[layer.id])
    return bool(inner) and (slid is None or slid[1].output in inside)


def _between(graph: Graph, modules: Sequence[_Named]) -> list[_Named]:
    """The nodes that depend on the picture and lie in no module that has no further modules inside."""
    inside = {node.output for each in modules if not each.is_block for node in each.nodes}
    alive = windows.fields(graph)
    return [
        _Named(_node_layer(graph, node), (node,), is_module=False, is_block=False)
        for node in graph.nodes
        if node.output in alive and node.output in graph.types and node.output not in inside
    ]


def _node_layer(graph: Graph, node: Node) -> Layer:
    return Layer(
        path=node.name or node.output,
        call=0,
        class_name="",
        ops=(node.op,),
        tensor=node.output,
        shape=graph.types[node.output].shape,
        inputs=graph.activations(node),
    )


def _info(graph: Graph, named: _Named, field: Field | None) -> LayerInfo:
    layer = named.layer
    slid = None if named.is_block else sliding(graph, named.nodes)
    size = windows.grid(graph, slid[2]) if slid else None
    return LayerInfo(
        id=layer.id if named.is_module else TENSOR + layer.tensor,
        path=layer.path,
        call=layer.call,
        class_name=layer.class_name,
        named_by="module" if named.is_module else "node",
        roles=_roles(graph, named),
        ops=layer.ops,
        tensor=layer.tensor,
        type=graph.types.get(layer.tensor, TensorType("float32", layer.shape)),
        inputs=layer.inputs,
        window=slid[0] if slid else None,
        groups=slid[1].integer("group", 1) if slid else 1,
        formulas=slid[0].formulas(size) if slid and size else (),
        parameters=_parameters(graph, named.nodes),
        macs=sum(windows.macs(graph, node) for node in named.nodes),
        field=field,
    )


def sliding(graph: Graph, nodes: Sequence[Node]) -> tuple[Window, Node, str] | None:
    """The one window among nodes, its node and its input, zeros added before it included; None for none or several."""
    found = [(window, node) for node in nodes if (window := windows.window(graph, node)) is not None]
    if len(found) != 1:
        return None
    ((window, node),) = found
    for pad in nodes:
        zeros = windows.padding(graph, pad)
        if zeros is not None and pad.output == node.inputs[0]:
            top, left, bottom, right = (a + b for a, b in zip(window.padding, zeros, strict=True))
            return replace(window, padding=(top, left, bottom, right)), node, pad.inputs[0]
    return window, node, node.inputs[0]


def _roles(graph: Graph, named: _Named) -> frozenset[Role]:
    roles = {Role.BLOCK if named.is_block else _role(graph, named.nodes)}
    if named.layer.tensor in graph.outputs:
        roles.add(Role.LOGITS)
    if any(node.op in ACTIVATIONS for node in graph.consumers().get(named.layer.tensor, ())):
        roles.add(Role.PRE_ACTIVATION)
    return frozenset(roles)


def _role(graph: Graph, nodes: Sequence[Node]) -> Role:
    ops = {node.op for node in nodes}
    if ops & windows.REDUCTIONS and sliding(graph, nodes) is not None:
        return Role.POOL
    for role, meant in _ROLES:
        if ops & meant:
            return role
    if any(node.op in _SUMS and len(graph.activations(node)) > 1 for node in nodes):
        return Role.MERGE
    if any(node.op == "Mul" and len(graph.activations(node)) > 1 for node in nodes):
        return Role.GATE
    return Role.RESHAPE if ops and ops <= _RESHAPES else Role.OTHER


def _parameters(graph: Graph, nodes: Sequence[Node]) -> int:
    names = {name for node in nodes for name in _parameter_names(graph, node)}
    return sum(graph.constants[name].size for name in names)


def _parameter_names(graph: Graph, node: Node) -> list[str]:
    constants = [(i, name) for i, name in enumerate(node.inputs) if name in graph.constants]
    if node.op in _PARAMETERS:
        return [name for i, name in constants if i in _PARAMETERS[node.op]]
    if node.op in _NO_PARAMETERS:
        return []
    return [name for _, name in constants if graph.constants[name].size > 1 and _is_trained(graph, name)]


def _is_trained(graph: Graph, name: str) -> bool:
    # The normalisation of the input is the spec's, not the training's.
    return np.issubdtype(graph.constants[name].dtype, np.floating) and not name.startswith(f"{INPUT_NAME}/")


def _related(graph: Graph, infos: Sequence[LayerInfo], survivors: AbstractSet[str]) -> tuple[LayerInfo, ...]:
    """What a layer can only be told once all are known: its other names, and where it went."""
    by_tensor: dict[str, list[str]] = {}
    for info in infos:
        by_tensor.setdefault(info.tensor, []).append(info.id)
    consumers = graph.consumers()
    return tuple(
        replace(
            info,
            also_known_as=tuple(other for other in by_tensor[info.tensor] if other != info.id),
            folded_into=_folded_into(info.tensor, consumers, by_tensor, survivors),
        )
        for info in infos
    )


def _folded_into(
    tensor: str,
    consumers: Mapping[str, Sequence[Node]],
    by_tensor: Mapping[str, Sequence[str]],
    survivors: AbstractSet[str],
) -> str:
    """The layer with the next tensor that survives; the innermost of those that share it."""
    if tensor in survivors:
        return ""
    while tensor not in survivors:
        users = consumers.get(tensor, ())
        if not users:
            return ""
        tensor = users[0].output
    return by_tensor[tensor][-1] if tensor in by_tensor else TENSOR + tensor
