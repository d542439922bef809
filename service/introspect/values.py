"""One layer of a feature maps' answer: what was asked for is cut out of its values, measured and encoded."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from service.core.encodings import Kind, chunks, encode
from service.core.errors import InvalidInput
from service.core.graph import Array
from service.core.heads import class_weights
from service.core.introspection import Chunk, LayerEnd, LayerHeader, MapsEvent, MapsRequest
from service.core.layers import LayerInfo
from service.core.maps import Key, TopK, as_maps, choose
from service.core.statistics import Statistics, statistics
from service.introspect.layers import Anatomy
from service.introspect.pricing import Priced
from service.introspect.tapping import Tapped

#: Protobuf's own advice is to keep messages below 1 MB; our chunks are at most this long.
CHUNK_BYTES = 1 << 20


class Values:
    """Shows layers as a request wants them."""

    def __init__(self, anatomy: Anatomy, request: MapsRequest) -> None:
        self._anatomy = anatomy
        self._wanted = request.wanted
        self._encoding = request.encoding

    def source(self, layer: LayerInfo) -> str:
        """The tensor to fetch: the integers behind a layer where those are wanted, and it has any."""
        integers = self._anatomy.integers.get(layer.tensor)
        return layer.tensor if integers is None or self._encoding.kind is not Kind.STORED else integers.tensor

    def events(self, each: Priced, tapped: Tapped, *, ordinal: int, picture: int) -> Iterator[MapsEvent]:
        """One layer for one picture: header, bytes in chunks, checksum. Blocks."""
        layer, encoding = each.layer, self._encoding
        values = tapped.values[self.source(layer)]
        integers = self._anatomy.integers.get(layer.tensor) if encoding.kind is Kind.STORED else None
        maps = as_maps((values if integers is None else integers.floats(values))[0])
        cut = choose(maps, self._wanted, layer.field, self._weights(layer))
        encoded = encode(cut.values if integers is None else cut.same_of(as_maps(values[0])), encoding)
        yield LayerHeader(
            ordinal=ordinal,
            layer=layer,
            picture=picture,
            shape=encoded.shape,
            channels=cut.channels,
            box=cut.box,
            size_bytes=len(encoded.data),
            statistics=self._statistics(cut.values),
            per_channel=tuple(self._statistics(each) for each in cut.values) if self._wanted.per_channel else (),
            scale=encoded.scale if integers is None else tuple(integers.scale.ravel().tolist()),
            offset=encoded.offset,
            colormap=encoded.colormap,
            not_finite=encoded.not_finite,
            zero_point=() if integers is None else tuple(integers.zero_point.ravel().tolist()),
            dtype=encoded.dtype,
        )
        for offset, data in chunks(encoded, encoding.kind, CHUNK_BYTES):
            yield Chunk(ordinal, offset, data)
        yield LayerEnd(ordinal, zlib.crc32(encoded.data))

    def _statistics(self, values: Array) -> Statistics:
        return statistics(values, percentiles=self._wanted.percentiles, histogram=self._wanted.histogram)

    def _weights(self, layer: LayerInfo) -> NDArray[np.float64] | None:
        """What ranking by contribution needs, where it can be known."""
        top = self._wanted.channels
        if not isinstance(top, TopK) or top.key is not Key.CONTRIBUTION:
            return None
        weights = class_weights(self._anatomy.graph, layer.tensor)
        if weights is not None and not 0 <= top.class_index < len(weights):
            raise InvalidInput("channels.top_k.class_index", f"0 to {len(weights) - 1}", top.class_index)
        return None if weights is None else weights[top.class_index]
