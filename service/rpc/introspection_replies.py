"""Looking in, the caller's side: answers off the wire to the core's words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.core import units
from service.core.geometry import Box, Field, Window, pair
from service.core.graph import TensorType
from service.core.introspection import (
    Chunk,
    Classified,
    Kernels,
    LayerEnd,
    LayerHeader,
    Listing,
    MapsEvent,
    Parity,
    RunEnd,
    RunHeader,
    UnitAnswer,
)
from service.core.layers import TENSOR, LayerInfo
from service.core.messages import ModelKey, Prediction
from service.core.statistics import Statistics
from service.core.units import Place
from service.rpc.introspection import KERNELS, ROLES
from service.rpc.pb.vitrine.v1 import introspection_pb2 as pb

_ROLES = {number: role for role, number in ROLES.items()}


def to_listing(response: pb.ListLayersResponse) -> Listing:
    """Every chosen layer."""
    layers = tuple(to_layer(layer) for layer in response.layers)
    return Listing(ModelKey(response.model, response.version), response.digest, layers, response.names_modules)


def to_layer(layer: pb.Layer) -> LayerInfo:
    """One layer; roles that this client does not know are left out."""
    return LayerInfo(
        id=layer.id,
        path=layer.path,
        call=layer.call,
        class_name=layer.class_name,
        named_by="module" if layer.is_module else "node",
        roles=frozenset(_ROLES[number] for number in layer.roles if number in _ROLES),
        ops=tuple(layer.ops),
        tensor=layer.tensor,
        type=TensorType(layer.dtype, tuple(layer.shape)),
        inputs=tuple(layer.inputs),
        window=_window(layer.window) if layer.HasField("window") else None,
        groups=layer.groups,
        formulas=tuple(layer.formulas),
        parameters=layer.parameters,
        macs=layer.macs,
        field=_field(layer.field) if layer.HasField("field") else None,
        folded_into=layer.folded_into,
        also_known_as=tuple(layer.also_known_as),
    )


def to_event(event: pb.FeatureMapsEvent) -> MapsEvent:
    """One event of the stream."""
    match event.WhichOneof("event"):
        case "header":
            return _run_header(event.header)
        case "layer":
            return _layer_header(event.layer)
        case "chunk":
            return Chunk(event.chunk.ordinal, event.chunk.offset, event.chunk.data)
        case "layer_end":
            return LayerEnd(event.layer_end.ordinal, event.layer_end.crc32)
        case _:
            return _run_end(event.end)


def to_unit(response: pb.ExplainUnitResponse, place: Place) -> UnitAnswer:
    """The arithmetic of the unit at `place`, which the message does not repeat."""
    terms = [term.layer for term in response.merge.terms]
    return UnitAnswer(
        key=ModelKey(response.model, response.version),
        digest=response.digest,
        picture_id=response.picture_id,
        layer=to_layer(response.layer),
        place=place,
        explained=units.Explained(response.value, response.computed, _unit(response)),
        field=_box(response.input_field) if response.HasField("input_field") else None,
        parity=to_parity(response.parity),
        tensors={term.removeprefix(TENSOR): term for term in terms},
    )


def to_parity(parity: pb.Parity) -> Parity:
    """How far the tapped network is from the serving one."""
    return Parity(parity.max_logit_difference, parity.here)


def to_predictions(scores: Iterable[pb.ClassScore]) -> tuple[Prediction, ...]:
    """What the serving session says, best first."""
    return tuple(Prediction(score.label, score.index, score.score) for score in scores)


def to_statistics(seen: pb.Statistics) -> Statistics:
    """Of one layer or channel."""
    return Statistics(
        count=seen.count,
        nans=seen.nans,
        positive_infinities=seen.positive_infinities,
        negative_infinities=seen.negative_infinities,
        zeros=seen.zeros,
        mean=seen.mean,
        std=seen.std,
        min=seen.min,
        max=seen.max,
        l2=seen.l2,
        percentiles=tuple(seen.percentiles),
        histogram=tuple(seen.histogram),
    )


def _run_header(header: pb.RunHeader) -> RunHeader:
    return RunHeader(
        key=ModelKey(header.model, header.version),
        digest=header.digest,
        pictures=tuple(Classified(each.id, to_predictions(each.predictions)) for each in header.pictures),
        parity=to_parity(header.parity) if header.HasField("parity") else None,
        total_bytes=header.total_bytes,
        layers=header.layers,
        kernels=KERNELS[header.kernels] or Kernels.REFERENCE,
    )


def _layer_header(header: pb.LayerHeader) -> LayerHeader:
    channels, height, width = header.shape
    return LayerHeader(
        ordinal=header.ordinal,
        layer=to_layer(header.layer),
        picture=header.picture,
        shape=(channels, height, width),
        channels=tuple(header.channels),
        box=_box(header.box),
        size_bytes=header.size_bytes,
        statistics=to_statistics(header.statistics) if header.HasField("statistics") else None,
        per_channel=tuple(to_statistics(each) for each in header.per_channel),
        scale=tuple(header.scale),
        offset=tuple(header.offset),
        colormap=header.colormap,
        not_finite=tuple(header.not_finite),
        zero_point=tuple(header.zero_point),
        dtype=header.dtype,
    )


def _run_end(end: pb.RunEnd) -> RunEnd:
    parity = to_parity(end.parity) if end.HasField("parity") else None
    return RunEnd(parity, end.build_seconds, end.compute_seconds, end.sent_bytes)


def _unit(response: pb.ExplainUnitResponse) -> units.Unit:  # noqa: PLR0911 - one case per kind
    match response.WhichOneof("unit"):
        case "conv":
            return _conv(response.conv)
        case "pool":
            return _pool(response.pool)
        case "activation":
            return units.ActivationUnit(response.activation.name, response.activation.formula, response.activation.x)
        case "norm":
            norm = response.norm
            return units.NormUnit(norm.x, norm.mean, norm.variance, norm.epsilon, norm.scale, norm.shift)
        case "dense":
            dense = response.dense
            order = np.array(dense.order, np.intp)
            return units.DenseUnit(_numbers(dense.inputs), _numbers(dense.weights), order, dense.bias)
        case "softmax":
            return units.SoftmaxUnit(_numbers(response.softmax.x), response.softmax.index, response.softmax.is_log)
        case _:
            terms = tuple((term.layer.removeprefix(TENSOR), term.value) for term in response.merge.terms)
            return units.MergeUnit(response.merge.op, terms)


def _conv(unit: pb.ConvUnit) -> units.ConvUnit:
    window = _window(unit.window)
    patches = tuple(
        units.Patch(
            channel=patch.channel,
            values=_numbers(patch.values).reshape(window.kernel),
            kernel=_numbers(patch.kernel).reshape(window.kernel),
            products=_numbers(patch.products).reshape(window.kernel),
            is_padding=np.array(patch.is_padding, np.bool_).reshape(window.kernel),
            sum=patch.sum,
        )
        for patch in unit.patches
    )
    return units.ConvUnit(patches, unit.bias, window)


_POOL_KINDS = {pb.PoolUnit.KIND_MAX: "max", pb.PoolUnit.KIND_AVERAGE: "average", pb.PoolUnit.KIND_SUM: "sum"}


def _pool(unit: pb.PoolUnit) -> units.PoolUnit:
    height, width = unit.shape
    dilation = pair(unit.dilation or (1, 1))
    bottom, right = (
        at + Window((height, width), dilation=dilation).span(axis) for axis, at in enumerate((unit.y, unit.x))
    )
    return units.PoolUnit(
        kind=_POOL_KINDS[unit.kind],
        values=_numbers(unit.values).reshape(height, width),
        is_padding=np.array(unit.is_padding, np.bool_).reshape(height, width),
        winner=divmod(unit.winner, width) if unit.HasField("winner") else None,
        divisor=unit.divisor,
        at=Box(unit.y, unit.x, bottom, right),
        dilation=dilation,
    )


def _window(window: pb.Window) -> Window:
    top, left, bottom, right = window.pads
    return Window(
        pair(window.kernel), pair(window.stride), pair(window.dilation), (top, left, bottom, right), window.ceil
    )


def _field(field: pb.ReceptiveField) -> Field:
    return Field(pair(field.size), pair(field.jump), pair(field.start))


def _box(box: pb.Box) -> Box:
    return Box(box.y0, box.x0, box.y1, box.x1)


def _numbers(values: Iterable[Any]) -> NDArray[np.float64]:
    return np.array(tuple(values), np.float64)
