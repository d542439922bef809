"""Looking in, the server's side: requests off the wire to the core's words; answers go in `introspection_answers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from service.core.encodings import Encoding, Kind, Range
from service.core.errors import InvalidInput
from service.core.geometry import Box
from service.core.introspection import Kernels, MapsRequest, Picture, UnitRequest
from service.core.layers import Role, Selector
from service.core.maps import Channels, Key, Region, Span, TopK, Wanted
from service.rpc.models import check_name
from service.rpc.pb.vitrine.v1 import introspection_pb2 as pb

Word = TypeVar("Word")

ROLES: Mapping[Role, pb.Role] = {
    Role.CONVOLUTION: pb.ROLE_CONVOLUTION,
    Role.DENSE: pb.ROLE_DENSE,
    Role.NORM: pb.ROLE_NORM,
    Role.ACTIVATION: pb.ROLE_ACTIVATION,
    Role.POOL: pb.ROLE_POOL,
    Role.MERGE: pb.ROLE_MERGE,
    Role.GATE: pb.ROLE_GATE,
    Role.SOFTMAX: pb.ROLE_SOFTMAX,
    Role.RESHAPE: pb.ROLE_RESHAPE,
    Role.BLOCK: pb.ROLE_BLOCK,
    Role.OTHER: pb.ROLE_OTHER,
    Role.PRE_ACTIVATION: pb.ROLE_PRE_ACTIVATION,
    Role.LOGITS: pb.ROLE_LOGITS,
}
_ROLES = {number: role for role, number in ROLES.items()}
#: What the numbers of the wire mean; a newer client may send others.
KERNELS: Mapping[int, Kernels | None] = {
    pb.KERNELS_UNSPECIFIED: None,
    pb.KERNELS_REFERENCE: Kernels.REFERENCE,
    pb.KERNELS_AS_SERVED: Kernels.AS_SERVED,
    pb.KERNELS_UNFUSED: Kernels.UNFUSED,
}
KEYS = {
    pb.TopK.KEY_UNSPECIFIED: Key.MEAN,
    pb.TopK.KEY_MEAN: Key.MEAN,
    pb.TopK.KEY_MAX: Key.MAX,
    pb.TopK.KEY_L2: Key.L2,
    pb.TopK.KEY_STD: Key.STD,
    pb.TopK.KEY_CONTRIBUTION: Key.CONTRIBUTION,
}
KINDS = {
    pb.Encoding.KIND_UNSPECIFIED: Kind.STATISTICS,
    pb.Encoding.KIND_STATISTICS: Kind.STATISTICS,
    pb.Encoding.KIND_FLOAT32: Kind.FLOAT32,
    pb.Encoding.KIND_FLOAT16: Kind.FLOAT16,
    pb.Encoding.KIND_UINT8: Kind.UINT8,
    pb.Encoding.KIND_PNG: Kind.PNG,
    pb.Encoding.KIND_NPY: Kind.NPY,
    pb.Encoding.KIND_STORED: Kind.STORED,
}
RANGES = {
    pb.Encoding.RANGE_UNSPECIFIED: Range.PER_CHANNEL,
    pb.Encoding.RANGE_PER_CHANNEL: Range.PER_CHANNEL,
    pb.Encoding.RANGE_PER_LAYER: Range.PER_LAYER,
    pb.Encoding.RANGE_SYMMETRIC: Range.SYMMETRIC,
    pb.Encoding.RANGE_FIXED: Range.FIXED,
    pb.Encoding.RANGE_PERCENTILE: Range.PERCENTILE,
}


def to_selector(selector: pb.LayerSelector) -> Selector:
    """Which layers; raises `InvalidInput` for a role that this server does not know."""
    for number in selector.roles:
        if number not in _ROLES:
            raise InvalidInput("layers.roles", "a role that this server knows", number)
    return Selector(
        include=tuple(selector.include),
        exclude=tuple(selector.exclude),
        roles=frozenset(_ROLES[number] for number in selector.roles),
        ops=frozenset(selector.ops),
        class_names=frozenset(selector.class_names),
        max_depth=selector.max_depth,
        limit=selector.limit,
    )


def to_maps_request(request: pb.GetFeatureMapsRequest, deadline: float) -> MapsRequest:
    """Which maps, how; raises `InvalidInput`."""
    check_name(request.model)
    return MapsRequest(
        model=request.model,
        version=request.version,
        pictures=tuple(to_picture(each, f"pictures[{i}]") for i, each in enumerate(request.pictures)),
        layers=to_selector(request.layers),
        wanted=Wanted(
            channels=_to_channels(request.channels),
            region=_to_region(request.region) if request.HasField("region") else None,
            per_channel=request.statistics.per_channel,
            percentiles=request.statistics.percentiles,
            histogram=request.statistics.histogram,
        ),
        encoding=_to_encoding(request.encoding),
        kernels=known(KERNELS, request.kernels, "kernels"),
        max_bytes=request.max_bytes,
        dry_run=request.dry_run,
        deadline=deadline,
    )


def to_unit_request(request: pb.ExplainUnitRequest, deadline: float) -> UnitRequest:
    """Which unit; raises `InvalidInput`."""
    check_name(request.model)
    return UnitRequest(
        model=request.model,
        version=request.version,
        picture=to_picture(request.picture, "picture"),
        layer=request.layer,
        place=(request.channel, request.y, request.x),
        deadline=deadline,
    )


def to_picture(picture: pb.Picture, field: str) -> Picture:
    """A picture, or the id of one; raises `InvalidInput` when it is neither."""
    if not picture.image and not picture.id:
        raise InvalidInput(field, "an image or the id of one that was sent before", "neither")
    return Picture(picture.image, picture.id, keep=not picture.do_not_keep)


def _to_channels(selector: pb.ChannelSelector) -> Channels:
    match selector.WhichOneof("by"):
        case "indices":
            return tuple(selector.indices.indices)
        case "range":
            return Span(selector.range.start, selector.range.end)
        case "top_k":
            top = selector.top_k
            return TopK(top.k, known(KEYS, top.key, "channels.top_k.key"), top.class_index, top.ascending)
        case _:
            return None


def _to_region(region: pb.Region) -> Region:
    box = region.box
    return Region(Box(box.y0, box.x0, box.y1, box.x1), region.of_input)


def _to_encoding(encoding: pb.Encoding) -> Encoding:
    return Encoding(
        kind=known(KINDS, encoding.kind, "encoding.kind"),
        range=known(RANGES, encoding.range, "encoding.range"),
        low=encoding.low,
        high=encoding.high,
        percentile=encoding.percentile,
        colormap=encoding.colormap,
        max_side=encoding.max_side,
        min_side=encoding.min_side,
        tile_columns=encoding.tile_columns,
    )


def known(words: Mapping[Any, Word], number: int, field: str) -> Word:
    """What a number of an enum means here; a newer client may send others."""
    if number not in words:
        raise InvalidInput(field, "a value that this server knows", number)
    return words[number]
