"""The layers of one model version: its file read, its graph described, once per file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from service.core import windows
from service.core.anatomy import describe
from service.core.errors import Refused
from service.core.graph import Graph, TensorType
from service.core.introspection import Kernels
from service.core.layers import LayerInfo
from service.core.moved import Origin, origin
from service.core.quantised import Integers, integers, with_float_weights
from service.core.spec import Spec
from service.engine import graph as files
from service.engine.folding import surviving_tensors
from service.engine.taps import TapSessions, TapSource

#: Tensors fetched at once while their types are found out.
_PROBED = 64


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A graph with the types of all its tensors, and its layers in the order in which they start.

    `integers` are those behind the activations of an INT8 network; `folded` are its layers of which nothing is left.
    `origins` tell of every layer's tensor where its values were computed.
    """

    graph: Graph = field(repr=False)
    layers: tuple[LayerInfo, ...]
    integers: Mapping[str, Integers] = field(default_factory=dict, repr=False)
    folded: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict, repr=False)

    @property
    def names_modules(self) -> bool:
        """Whether the file says which module calls it came from; else layers are named after ONNX nodes."""
        return any(layer.named_by == "module" for layer in self.layers)

    def check(self, layer: str) -> None:
        """Raise `Refused` for a layer that quantising folded into another."""
        if layer in self.folded:
            where = self.folded[layer]
            raise Refused(f"layer {layer}: quantising folded it into {where}; the fp32 version of the model shows it")


def study(source: TapSource, spec: Spec, sessions: TapSessions) -> Anatomy:
    """Read a model's file and describe its layers. Blocks: it reads, and loads the model once to see it optimised.

    Raises `InvalidInput` for a file that cannot be read, `EngineFailed` for one that cannot be run.
    """
    data = source.read()
    graph = with_float_weights(files.read(data))
    graph = _typed(graph, lambda tensors: _probe(source, spec, sessions, tensors))
    stored = integers(graph)
    survivors = surviving_tensors(data)
    if stored:
        # Floats can be had beside the integers without breaking a fused group up; quantising listed no others.
        survivors |= stored.keys() | {layer.tensor for layer in spec.layers}
    layers = describe(graph, spec.layers, survivors)
    producers = graph.producers()
    origins = {layer.tensor: origin(graph, producers, layer.tensor) for layer in layers}
    return Anatomy(graph, layers, stored, spec.folded, origins)


def _typed(graph: Graph, probe: Callable[[list[str]], Iterable[tuple[str, TensorType]]]) -> Graph:
    """The graph with the types that its file leaves out, read off a run on a blank picture."""
    alive = windows.fields(graph)
    unknown = [node.output for node in graph.nodes if node.output in alive and node.output not in graph.types]
    for start in range(0, len(unknown), _PROBED):
        graph = files.with_types(graph, probe(unknown[start : start + _PROBED]))
    return graph


def _probe(
    source: TapSource, spec: Spec, sessions: TapSessions, tensors: list[str]
) -> Iterable[tuple[str, TensorType]]:
    session = sessions.get(source, tensors, Kernels.REFERENCE).session
    values = session.run(np.zeros((1, *spec.shape), np.uint8))
    return [(name, TensorType(value.dtype.name, value.shape[1:])) for name, value in values.items()]
