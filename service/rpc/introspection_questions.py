"""Looking in, the caller's side: the core's questions to messages. The server's side is `introspection`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from service.core.encodings import Encoding
from service.core.introspection import MapsRequest, Picture, UnitRequest
from service.core.layers import Selector
from service.core.maps import Channels, Region, Span, TopK
from service.rpc.introspection import KERNELS, KEYS, KINDS, RANGES, ROLES
from service.rpc.pb.vitrine.v1 import introspection_pb2 as pb

Word = TypeVar("Word")


def _numbers(words: Mapping[Any, Word]) -> dict[Word, Any]:
    """The number of each word; where several mean it, the last one, which is never the unspecified."""
    return {word: number for number, word in words.items()}


KERNEL_NUMBERS, _KEYS, _KINDS, _RANGES = (_numbers(words) for words in (KERNELS, KEYS, KINDS, RANGES))


def from_selector(selector: Selector) -> pb.LayerSelector:
    """Which layers."""
    return pb.LayerSelector(
        include=selector.include,
        exclude=selector.exclude,
        ops=sorted(selector.ops),
        class_names=sorted(selector.class_names),
        roles=sorted(ROLES[role] for role in selector.roles),
        max_depth=selector.max_depth,
        limit=selector.limit,
    )


def from_maps_request(request: MapsRequest) -> pb.GetFeatureMapsRequest:
    """Which maps, how; the deadline travels with the call."""
    wanted = request.wanted
    return pb.GetFeatureMapsRequest(
        model=request.model,
        version=request.version,
        pictures=[from_picture(picture) for picture in request.pictures],
        layers=from_selector(request.layers),
        channels=_channels(wanted.channels),
        region=_region(wanted.region) if wanted.region else None,
        encoding=_encoding(request.encoding),
        statistics=pb.StatisticsOptions(
            per_channel=wanted.per_channel, percentiles=wanted.percentiles, histogram=wanted.histogram
        ),
        kernels=KERNEL_NUMBERS[request.kernels],
        max_bytes=request.max_bytes,
        dry_run=request.dry_run,
    )


def from_unit_request(request: UnitRequest) -> pb.ExplainUnitRequest:
    """Which unit."""
    channel, y, x = request.place
    picture = from_picture(request.picture)
    return pb.ExplainUnitRequest(
        model=request.model, version=request.version, picture=picture, layer=request.layer, channel=channel, y=y, x=x
    )


def from_picture(picture: Picture) -> pb.Picture:
    """A picture, or the id of one that was sent before."""
    if picture.id:
        return pb.Picture(id=picture.id, do_not_keep=not picture.keep)
    return pb.Picture(image=picture.image, do_not_keep=not picture.keep)


def _channels(channels: Channels) -> pb.ChannelSelector | None:
    match channels:
        case None:
            return None
        case Span(start, end):
            return pb.ChannelSelector(range=pb.ChannelRange(start=start, end=end))
        case TopK(k, key, class_index, ascending):
            top = pb.TopK(k=k, key=_KEYS[key], class_index=class_index, ascending=ascending)
            return pb.ChannelSelector(top_k=top)
        case _:
            return pb.ChannelSelector(indices=pb.ChannelList(indices=channels))


def _region(region: Region) -> pb.Region:
    box = region.box
    return pb.Region(box=pb.Box(y0=box.y0, x0=box.x0, y1=box.y1, x1=box.x1), of_input=region.of_input)


def _encoding(encoding: Encoding) -> pb.Encoding:
    return pb.Encoding(
        kind=_KINDS[encoding.kind],
        range=_RANGES[encoding.range],
        low=encoding.low,
        high=encoding.high,
        percentile=encoding.percentile,
        colormap=encoding.colormap,
        max_side=encoding.max_side,
        min_side=encoding.min_side,
        tile_columns=encoding.tile_columns,
    )
