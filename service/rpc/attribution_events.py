"""Evidence, onto and off the wire."""

from __future__ import annotations

import math

import numpy as np

from service.core.attribution import (
    AttributionEvent,
    AttributionHeader,
    AttributionProgress,
    AttributionResult,
    Map,
)
from service.core.faithfulness import Curves, Faithfulness
from service.core.introspection import Classified
from service.core.messages import ModelKey
from service.core.overlay import Painted
from service.core.saliency import Placement
from service.rpc.attribution import METHODS
from service.rpc.introspection_answers import from_classified, from_layer, from_parity
from service.rpc.introspection_replies import to_layer, to_parity, to_predictions
from service.rpc.pb.vitrine.v1 import attribution_pb2 as pb

_METHODS = {number: method for method, number in METHODS.items()}


def from_event(event: AttributionEvent) -> pb.AttributeEvent:
    """One message of the stream."""
    match event:
        case AttributionHeader():
            return pb.AttributeEvent(header=_from_header(event))
        case AttributionProgress(done, values):
            so_far = None if values is None else _from_map(values)
            return pb.AttributeEvent(progress=pb.AttributionProgress(done=done, map=so_far))
        case AttributionResult():
            return pb.AttributeEvent(result=_from_result(event))


def to_event(message: pb.AttributeEvent) -> AttributionEvent:
    """One event of the answer."""
    match message.WhichOneof("event"):
        case "header":
            return _to_header(message.header)
        case "progress":
            progress = message.progress
            return AttributionProgress(progress.done, _to_map(progress.map) if progress.HasField("map") else None)
        case _:
            return _to_result(message.result)


def _from_header(header: AttributionHeader) -> pb.AttributionHeader:
    return pb.AttributionHeader(
        model=header.key.name,
        version=header.key.version,
        digest=header.digest,
        picture=from_classified(header.picture),
        method=METHODS[header.method],
        reason=header.reason,
        layer=from_layer(header.layer) if header.layer else None,
        target=header.target,
        versus=header.versus,
        labels=header.labels,
        runs=header.runs,
    )


def _to_header(header: pb.AttributionHeader) -> AttributionHeader:
    return AttributionHeader(
        key=ModelKey(header.model, header.version),
        digest=header.digest,
        picture=Classified(header.picture.id, to_predictions(header.picture.predictions)),
        method=_METHODS[header.method],
        reason=header.reason,
        layer=to_layer(header.layer) if header.HasField("layer") else None,
        target=header.target,
        versus=header.versus if header.HasField("versus") else None,
        labels=tuple(header.labels),
        runs=header.runs,
    )


def _from_result(result: AttributionResult) -> pb.AttributionResult:
    painted = result.painted
    return pb.AttributionResult(
        map=_from_map(result.values),
        first=result.placement.first,
        step=result.placement.step,
        score=result.score,
        total=result.total,
        bias=None if math.isnan(result.bias) else result.bias,
        residual=None if math.isnan(result.residual) else result.residual,
        parity=from_parity(result.parity),
        overlay=pb.PaintedMap(png=painted.png, colormap=painted.colormap, low=painted.low, high=painted.high)
        if painted
        else None,
        faithfulness=_from_faithfulness(result.faithfulness) if result.faithfulness else None,
        build_seconds=result.build_s,
        compute_seconds=result.compute_s,
    )


def _to_result(result: pb.AttributionResult) -> AttributionResult:
    (first_y, first_x), (step_y, step_x) = result.first, result.step
    painted = result.overlay
    return AttributionResult(
        values=_to_map(result.map),
        placement=Placement((first_y, first_x), (step_y, step_x)),
        score=result.score,
        total=result.total,
        bias=result.bias if result.HasField("bias") else math.nan,
        residual=result.residual if result.HasField("residual") else math.nan,
        parity=to_parity(result.parity),
        painted=Painted(painted.png, painted.colormap, painted.low, painted.high)
        if result.HasField("overlay")
        else None,
        faithfulness=_to_faithfulness(result.faithfulness) if result.HasField("faithfulness") else None,
        build_s=result.build_seconds,
        compute_s=result.compute_seconds,
    )


def _from_map(values: Map) -> pb.EvidenceMap:
    height, width = values.shape
    return pb.EvidenceMap(height=height, width=width, values=values.astype("<f4", order="C").tobytes())


def _to_map(message: pb.EvidenceMap) -> Map:
    return np.frombuffer(message.values, "<f4").reshape(message.height, message.width).astype(np.float32)


def _from_faithfulness(found: Faithfulness) -> pb.Faithfulness:
    return pb.Faithfulness(map=_from_curves(found.map), controls=[_from_curves(each) for each in found.controls])


def _to_faithfulness(found: pb.Faithfulness) -> Faithfulness:
    return Faithfulness(_to_curves(found.map), tuple(_to_curves(each) for each in found.controls))


def _from_curves(curves: Curves) -> pb.Curves:
    return pb.Curves(
        insertion=curves.insertion,
        deletion=curves.deletion,
        insertion_area=curves.insertion_area,
        deletion_area=curves.deletion_area,
    )


def _to_curves(curves: pb.Curves) -> Curves:
    return Curves(tuple(curves.insertion), tuple(curves.deletion))
