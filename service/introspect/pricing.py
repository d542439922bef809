"""What a request will cost in bytes, before anything is computed."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np

from service.core.encodings import Encoding, Kind, Shape, price
from service.core.errors import OverBudget
from service.core.geometry import Box
from service.core.introspection import MapsRequest
from service.core.layers import LayerInfo
from service.core.maps import Span, TopK, Wanted, count, first, maps_shape, units


@dataclass(frozen=True, slots=True)
class Priced:
    """A layer, what will be cut out of it, and its size: an upper bound for PNG. Ranked channels are not known yet."""

    layer: LayerInfo
    shape: Shape
    channels: tuple[int, ...]
    box: Box
    size_bytes: int


def price_all(
    layers: Sequence[LayerInfo], wanted: Wanted, encoding: Encoding, integers: Container[str] = ()
) -> list[Priced]:
    """The layers with their sizes for one picture; `integers` are the tensors that are stored in single bytes.

    Raises `InvalidInput` for a region or channels that are missing.
    """
    return [_price(layer, wanted, encoding, integers) for layer in layers]


def total(priced: Sequence[Priced], request: MapsRequest, server_limit: int) -> int:
    """Bytes of all values for all pictures; raises `OverBudget`, naming a smaller request that fits."""
    pictures = max(len(request.pictures), 1)
    limit = min(request.max_bytes or server_limit, server_limit)
    size = pictures * sum(each.size_bytes for each in priced)
    if size > limit:
        advice = _advice(priced, pictures, request, limit)
        raise OverBudget(f"max_bytes: the answer takes {size} bytes, allowed are {limit}; {advice}")
    return size


def _price(layer: LayerInfo, wanted: Wanted, encoding: Encoding, integers: Container[str]) -> Priced:
    channels, *grid = maps_shape(layer.type.shape)
    box = units(tuple(grid), wanted.region, layer.field)
    number = count(channels, wanted.channels)
    shape = (number, *box.size)
    is_stored = encoding.kind is Kind.STORED and layer.tensor in integers
    size = price(shape, 1 if is_stored else np.dtype(layer.type.dtype).itemsize, encoding)
    return Priced(layer, shape, _known(number, wanted), box, size)


def _known(number: int, wanted: Wanted) -> tuple[int, ...]:
    match wanted.channels:
        case TopK():
            return ()
        case Span(start, _):
            return tuple(range(start, start + number))
        case None:
            return first(number)
        case _:
            return wanted.channels


def _advice(priced: Sequence[Priced], pictures: int, request: MapsRequest, limit: int) -> str:
    """The nearest request that fits: the same in UINT8, or fewer channels of that, or statistics."""
    layers = [each.layer for each in priced]
    small = replace(request.encoding, kind=Kind.UINT8)
    most = max(each.shape[0] for each in priced)
    for channels in (0, *(most >> shift for shift in range(1, most.bit_length()))):
        wanted = replace(request.wanted, channels=TopK(channels)) if channels else request.wanted
        total = pictures * sum(each.size_bytes for each in price_all(layers, wanted, small))
        if total <= limit:
            top = f" and top_k {channels}" if channels else ""
            return f"encoding UINT8{top} takes {total}"
    return "STATISTICS take none, fewer layers take less"
