"""The layer list: every PyTorch module call, found again in the exported ONNX graph.

`torch.export` records for each operation the stack of module calls that it ran in, a shared module's second call as
`path@1`. The exporter names each ONNX node's operation, so a module call is the run of nodes whose operations carry
it, and its output is the output of the last one. Modules that leave no node in the graph (`Dropout` and `Identity`
when evaluating) have nothing to show and are not listed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx_ir as ir
import torch

from service.core.errors import Refused
from service.core.spec import Layer

SCOPES_KEY = "pkg.torch.onnx.name_scopes"  #: of a node: module paths, outermost first, then the operation's name


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one module; `call` counts the uses of a shared module from 0."""

    path: str
    call: int
    class_name: str


Calls = Mapping[str, tuple[Call, ...]]


def module_calls(program: torch.export.ExportedProgram, root: str) -> Calls:
    """Operation name -> the module calls around it, outermost first, below the module `root` and relative to it."""
    return {node.name: tuple(_calls(node.meta.get("nn_module_stack", {}), f"{root}.")) for node in program.graph.nodes}


def layers(graph: ir.Graph, calls: Calls) -> tuple[Layer, ...]:
    """The layers of a graph in the order in which they first run, a container before what it contains.

    Raises `Refused` when the graph lost the shape of a layer's output.
    """
    runs: dict[Call, list[ir.Node]] = {}
    for node in graph:
        for call in calls.get(_operation(node), ()):
            runs.setdefault(call, []).append(node)
    return tuple(_layer(call, nodes) for call, nodes in runs.items())


def _calls(stack: Mapping[str, tuple[str, object]], prefix: str) -> Iterable[Call]:
    for key, (path, owner) in stack.items():
        if path.startswith(prefix):
            class_path = owner if isinstance(owner, str) else getattr(owner, "__qualname__", "")
            count = key.rpartition("@")[2] if "@" in key else "0"
            yield Call(path.removeprefix(prefix), int(count), class_path.rpartition(".")[2])


def _operation(node: ir.Node) -> str:
    """The name of the PyTorch operation that a node comes from, "" when it has none."""
    scopes = ast.literal_eval(node.metadata_props.get(SCOPES_KEY, "['']"))
    return str(scopes[-1])


def _layer(call: Call, nodes: list[ir.Node]) -> Layer:
    inside = {value for node in nodes for value in node.outputs}
    outside = (value for node in nodes for value in node.inputs if value is not None and value not in inside)
    output = nodes[-1].outputs[0]
    return Layer(
        path=call.path,
        call=call.call,
        class_name=call.class_name,
        ops=tuple(node.op_type for node in nodes),
        tensor=str(output.name),
        shape=_shape_per_item(call, output),
        inputs=tuple(dict.fromkeys(str(value.name) for value in outside if not value.is_initializer())),
    )


def _shape_per_item(call: Call, value: ir.Value) -> tuple[int, ...]:
    sizes = () if value.shape is None else tuple(value.shape)[1:]
    if value.shape is None or not all(isinstance(size, int) for size in sizes):
        raise Refused(f"layer {call.path}: its output {value.name} has no fixed shape beside the batch: {value.shape}")
    return tuple(int(size) for size in sizes if isinstance(size, int))
