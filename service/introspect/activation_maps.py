"""Evidence from a layer's maps: CAM, Grad-CAM, HiResCAM, LayerCAM and Recipro-CAM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from service.core import saliency
from service.core.attribution import AttributionProgress, Method
from service.core.errors import InvalidInput, Refused
from service.core.graph import Array
from service.core.heads import class_weights, holds_all, is_linear, last_map
from service.core.layers import LayerInfo, find
from service.core.saliency import placement
from service.introspect.case import Case, Finding, Found, Pace, batches

_CELLS = 64  # maps that go through the head at once
_MAP_AXES = 3

_GRADIENT_METHODS: Mapping[Method, Callable[[Array, Array], NDArray[np.float64]]] = {
    Method.GRAD_CAM: saliency.grad_cam,
    Method.HIRES_CAM: saliency.hires_cam,
    Method.LAYER_CAM: saliency.layer_cam,
}


@dataclass(frozen=True, slots=True)
class Approach:
    """A method at a layer, and why; `signed` keeps evidence against the class where a method would cut it off."""

    method: Method
    reason: str
    layer: LayerInfo
    signed: bool

    @property
    def runs(self) -> int:
        """Of the network or its head."""
        return int(np.prod(self.layer.type.shape[1:])) if self.method is Method.RECIPRO_CAM else 1


def approach(case: Case) -> Approach:
    """How to look into a layer. Raises `NoSuchLayer`, `InvalidInput`, or `Refused` when the network does not allow it.

    For AUTO the first that applies: exact sums before others, gradients before runs of the head.
    """
    layer = _layer(case)
    request, graph = case.request, case.anatomy.graph
    pooled = class_weights(graph, layer.tensor) is not None
    if request.method is Method.CAM and not pooled:
        raise Refused(f"method CAM: behind {layer.id} is other than global average pooling and one dense layer")
    if request.method is not Method.AUTO:
        return Approach(request.method, "", layer, request.signed)
    if pooled:
        return Approach(Method.CAM, "the head is global average pooling and one dense layer", layer, signed=True)
    try:
        case.network.gradient(case.pixels, layer, case.question.weights)
    except Refused as reason:
        return Approach(Method.RECIPRO_CAM, str(reason), layer, signed=True)
    if is_linear(graph, layer.tensor):
        return Approach(Method.HIRES_CAM, "the head is linear, so that its parts add up", layer, signed=True)
    return Approach(Method.GRAD_CAM, "the head is not linear", layer, request.signed)


def find_evidence(case: Case, chosen: Approach) -> Finding:
    """The evidence in the maps of a layer."""
    match chosen.method:
        case Method.CAM:
            found = _cam(case, chosen.layer)
        case Method.RECIPRO_CAM:
            return (yield from _recipro_cam(case, chosen.layer))
        case _:
            found = _by_gradient(case, chosen)
    yield AttributionProgress(1)
    return found


def _cam(case: Case, layer: LayerInfo) -> Found:
    weights = class_weights(case.anatomy.graph, layer.tensor)
    assert weights is not None  # it was looked at before
    maps, logits = case.network.maps(case.pixels, layer)
    values = saliency.cam(maps, case.question.weights @ weights)
    return Found(values, _place(case, layer), logits, _empty_score(case, layer))


def _by_gradient(case: Case, chosen: Approach) -> Found:
    layer = chosen.layer
    maps, gradients, logits = case.network.gradient(case.pixels, layer, case.question.weights)
    values = _GRADIENT_METHODS[chosen.method](maps, gradients)
    if not chosen.signed:
        return Found(np.maximum(values, 0), _place(case, layer), logits)
    adds_up = chosen.method is Method.HIRES_CAM and is_linear(case.anatomy.graph, layer.tensor)
    bias = _empty_score(case, layer) if adds_up and holds_all(case.anatomy.graph, layer.tensor) else nan
    return Found(values, _place(case, layer), logits, bias)


def _recipro_cam(case: Case, layer: LayerInfo) -> Finding:
    """What each unit's column of values alone adds to the score of an empty map."""
    maps, logits = case.network.maps(case.pixels, layer)
    empty = _empty_score(case, layer)
    units = maps[0].size
    values = np.zeros(units)
    size = max(1, min(_CELLS, case.max_bytes // maps.nbytes))
    pace = Pace(units, case.request.snapshots)
    for start, end in batches(units, size):
        alone = case.network.head(layer, saliency.alone(maps, start, end))
        values[start:end] = case.question.score(alone) - empty
        so_far = values.reshape(maps.shape[1:])
        yield AttributionProgress(end, so_far.astype(np.float32) if pace.due(end) else None)
    bias = empty if is_linear(case.anatomy.graph, layer.tensor) else nan
    return Found(values.reshape(maps.shape[1:]), _place(case, layer), logits, bias)


def _layer(case: Case) -> LayerInfo:
    if not case.request.layer:
        return last_map(case.anatomy.graph, case.anatomy.layers)
    layer = find(case.anatomy.layers, case.request.layer)
    if len(layer.type.shape) != _MAP_AXES or layer.type.dtype != "float32":
        limit = "one whose output is [channels, height, width] in float32"
        raise InvalidInput("layer", limit, f"{layer.id} {list(layer.type.shape)} in {layer.type.dtype}")
    return layer


def _empty_score(case: Case, layer: LayerInfo) -> float:
    """The score of maps full of zeros."""
    return float(case.question.score(case.network.head(layer, np.zeros((1, *layer.type.shape), np.float32)))[0])


def _place(case: Case, layer: LayerInfo) -> saliency.Placement:
    _, height, width = layer.type.shape
    return placement((height, width), case.pixels.shape[:2], layer.field)
