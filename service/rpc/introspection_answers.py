"""Looking in, onto the wire: the core's answers to messages."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from service.core import units
from service.core.geometry import Box, Field, Window
from service.core.introspection import (
    Chunk,
    Classified,
    LayerEnd,
    LayerHeader,
    Listing,
    MapsEvent,
    Parity,
    RunEnd,
    RunHeader,
    UnitAnswer,
)
from service.core.layers import LayerInfo
from service.core.statistics import Statistics
from service.rpc.introspection import ROLES
from service.rpc.introspection_questions import KERNEL_NUMBERS
from service.rpc.pb.vitrine.v1 import introspection_pb2 as pb


def from_listing(listing: Listing) -> pb.ListLayersResponse:
    """Every chosen layer."""
    return pb.ListLayersResponse(
        model=listing.key.name,
        version=listing.key.version,
        digest=listing.digest,
        layers=[from_layer(layer) for layer in listing.layers],
        names_modules=listing.names_modules,
    )


def from_layer(layer: LayerInfo) -> pb.Layer:
    """All that is known about one layer."""
    return pb.Layer(
        id=layer.id,
        path=layer.path,
        call=layer.call,
        class_name=layer.class_name,
        is_module=layer.named_by == "module",
        roles=sorted(ROLES[role] for role in layer.roles),
        ops=layer.ops,
        tensor=layer.tensor,
        shape=layer.type.shape,
        dtype=layer.type.dtype,
        inputs=layer.inputs,
        window=_window(layer.window) if layer.window else None,
        groups=layer.groups,
        formulas=layer.formulas,
        parameters=layer.parameters,
        macs=layer.macs,
        field=_field(layer.field) if layer.field else None,
        folded_into=layer.folded_into,
        also_known_as=layer.also_known_as,
    )


def from_event(event: MapsEvent) -> pb.FeatureMapsEvent:
    """One message of the stream."""
    match event:
        case RunHeader():
            return pb.FeatureMapsEvent(header=_run_header(event))
        case LayerHeader():
            return pb.FeatureMapsEvent(layer=_layer_header(event))
        case Chunk(ordinal, offset, data):
            return pb.FeatureMapsEvent(chunk=pb.Chunk(ordinal=ordinal, offset=offset, data=data))
        case LayerEnd(ordinal, crc32):
            return pb.FeatureMapsEvent(layer_end=pb.LayerEnd(ordinal=ordinal, crc32=crc32))
        case RunEnd():
            return pb.FeatureMapsEvent(end=_run_end(event))


def from_unit(answer: UnitAnswer) -> pb.ExplainUnitResponse:
    """One unit explained."""
    response = pb.ExplainUnitResponse(
        model=answer.key.name,
        version=answer.key.version,
        digest=answer.digest,
        picture_id=answer.picture_id,
        layer=from_layer(answer.layer),
        value=answer.explained.value,
        computed=answer.explained.computed,
        residual=answer.explained.residual,
        input_field=_box(answer.field) if answer.field else None,
        parity=from_parity(answer.parity),
    )
    _fill(response, answer)
    return response


def _fill(response: pb.ExplainUnitResponse, answer: UnitAnswer) -> None:
    """The kind of unit that it is."""
    match answer.explained.unit:
        case units.ConvUnit() as unit:
            response.conv.CopyFrom(_conv(unit))
        case units.PoolUnit() as unit:
            response.pool.CopyFrom(_pool(unit))
        case units.ActivationUnit(name, formula, x):
            response.activation.CopyFrom(pb.ActivationUnit(name=name, formula=formula, x=x))
        case units.NormUnit() as unit:
            response.norm.CopyFrom(_norm(unit))
        case units.DenseUnit() as unit:
            response.dense.CopyFrom(
                pb.DenseUnit(
                    inputs=_flat(unit.inputs), weights=_flat(unit.weights), order=_flat(unit.order), bias=unit.bias
                )
            )
        case units.SoftmaxUnit(x, index, is_log):
            response.softmax.CopyFrom(pb.SoftmaxUnit(x=_flat(x), index=index, is_log=is_log))
        case units.MergeUnit(op, terms):
            named = [pb.Term(layer=answer.tensors.get(name, f"tensor:{name}"), value=value) for name, value in terms]
            response.merge.CopyFrom(pb.MergeUnit(op=op, terms=named))


def from_classified(picture: Classified) -> pb.PictureSummary:
    """One picture's id, and what the serving session calls it."""
    predictions = [pb.ClassScore(label=p.label, index=p.index, score=p.score) for p in picture.predictions]
    return pb.PictureSummary(id=picture.picture_id, predictions=predictions)


def _run_header(header: RunHeader) -> pb.RunHeader:
    return pb.RunHeader(
        model=header.key.name,
        version=header.key.version,
        digest=header.digest,
        pictures=[from_classified(picture) for picture in header.pictures],
        parity=from_parity(header.parity) if header.parity else None,
        total_bytes=header.total_bytes,
        layers=header.layers,
        kernels=KERNEL_NUMBERS[header.kernels],
    )


def _layer_header(header: LayerHeader) -> pb.LayerHeader:
    return pb.LayerHeader(
        ordinal=header.ordinal,
        layer=from_layer(header.layer),
        picture=header.picture,
        shape=header.shape,
        channels=header.channels,
        box=_box(header.box),
        size_bytes=header.size_bytes,
        statistics=from_statistics(header.statistics) if header.statistics else None,
        per_channel=[from_statistics(each) for each in header.per_channel],
        scale=header.scale,
        offset=header.offset,
        colormap=header.colormap,
        not_finite=header.not_finite,
        zero_point=header.zero_point,
        dtype=header.dtype,
    )


def _run_end(end: RunEnd) -> pb.RunEnd:
    return pb.RunEnd(
        parity=from_parity(end.parity) if end.parity else None,
        build_seconds=end.build_s,
        compute_seconds=end.compute_s,
        sent_bytes=end.sent_bytes,
    )


def from_statistics(seen: Statistics) -> pb.Statistics:
    """Of a layer or channel."""
    return pb.Statistics(
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
        percentiles=seen.percentiles,
        histogram=seen.histogram,
    )


def _conv(unit: units.ConvUnit) -> pb.ConvUnit:
    patches = [
        pb.Patch(
            channel=patch.channel,
            values=_flat(patch.values),
            kernel=_flat(patch.kernel),
            products=_flat(patch.products),
            is_padding=_flat(patch.is_padding),
            sum=patch.sum,
        )
        for patch in unit.patches
    ]
    return pb.ConvUnit(patches=patches, bias=unit.bias, window=_window(unit.window))


_POOL_KINDS = {"max": pb.PoolUnit.KIND_MAX, "average": pb.PoolUnit.KIND_AVERAGE, "sum": pb.PoolUnit.KIND_SUM}


def _pool(unit: units.PoolUnit) -> pb.PoolUnit:
    width = unit.values.shape[1]
    return pb.PoolUnit(
        kind=_POOL_KINDS[unit.kind],
        values=_flat(unit.values),
        is_padding=_flat(unit.is_padding),
        shape=unit.values.shape,
        winner=None if unit.winner is None else unit.winner[0] * width + unit.winner[1],
        divisor=unit.divisor,
        y=unit.at.y0,
        x=unit.at.x0,
        dilation=unit.dilation,
    )


def _norm(unit: units.NormUnit) -> pb.NormUnit:
    return pb.NormUnit(
        x=unit.x,
        mean=unit.mean,
        variance=unit.variance,
        epsilon=unit.epsilon,
        scale=unit.scale,
        shift=unit.shift,
    )


def _window(window: Window) -> pb.Window:
    return pb.Window(
        kernel=window.kernel,
        stride=window.stride,
        dilation=window.dilation,
        pads=window.padding,
        ceil=window.ceil,
    )


def _field(field: Field) -> pb.ReceptiveField:
    return pb.ReceptiveField(size=field.size, jump=field.jump, start=field.start)


def _box(box: Box) -> pb.Box:
    return pb.Box(y0=box.y0, x0=box.x0, y1=box.y1, x1=box.x1)


def from_parity(parity: Parity) -> pb.Parity:
    """How far the tapped network is from the serving one."""
    return pb.Parity(max_logit_difference=parity.max_logit_difference, here=parity.here)


def _flat(values: NDArray[Any]) -> list[Any]:
    flat: list[Any] = values.ravel().tolist()
    return flat
