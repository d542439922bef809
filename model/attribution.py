"""`vitrine-model attribution`: class activation maps of a published model as one ONNX file, for any runtime.

The server needs no such file: it writes the same nodes behind the graph that it serves, when somebody asks.
"""

from __future__ import annotations

import numpy as np

from service.core.errors import InvalidInput
from service.core.gradients import CLASS_WEIGHTS, Backward, differentiate
from service.core.graph import Graph, Node
from service.core.heads import last_map
from service.core.layers import LayerInfo, find
from service.core.spec import INPUT_NAME, OUTPUT_NAME
from service.core.tape import Tape
from service.engine import graph as files

#: Outputs beside the logits: float32 [N, height, width] of the layer.
MAPS = ("gradcam", "hirescam", "layercam")
#: The file's inputs: pixels as the model takes them, and float32 [N, classes], one-hot for one class.
INPUTS = (INPUT_NAME, CLASS_WEIGHTS)


def attribution(model: bytes, layers: tuple[LayerInfo, ...], layer: str = "") -> tuple[bytes, LayerInfo]:
    """The file's bytes, and the layer that its maps are of: by default the last one that everything goes through.

    `layers` are those of `model`, whose file must tell the types of its tensors, as ours do. Raises `NoSuchLayer`,
    `InvalidInput` for a layer without maps, `Refused` for an operation without a derivative.
    """
    graph = files.read(model)
    chosen = find(layers, layer) if layer else last_map(graph, layers)
    if len(chosen.type.shape) != 3:
        raise InvalidInput("layer", "one whose output is [channels, height, width]", f"{chosen.id} {chosen.type.shape}")
    whole = _with_maps(graph, differentiate(graph, chosen.tensor), chosen.tensor)
    grown = files.differentiated(files.parse(model), whole)
    return files.tapped(files.parse(grown), [OUTPUT_NAME, *MAPS]), chosen


def _with_maps(graph: Graph, backward: Backward, maps: str) -> Backward:
    """What `service.core.saliency` computes from maps and gradients, as nodes."""
    tape = Tape(graph, backward.nodes, backward.constants)
    places, channels = tape.integers([2, 3]), tape.integers([1])
    count = tape.number(float(np.prod(graph.types[maps].shape[1:])))
    mean = tape.emit("Div", tape.emit("ReduceSum", backward.gradient, places, keepdims=1), count)
    factors = (mean, backward.gradient, tape.emit("Relu", backward.gradient))
    for name, factor in zip(MAPS, factors, strict=True):
        joined = tape.emit("ReduceSum", tape.emit("Mul", factor, maps), channels, keepdims=0)
        tape.nodes.append(Node(name, "Relu", (joined,), (name,)))
    return Backward(tuple(tape.nodes), tape.constants, backward.gradient)
