"""Feature maps as the SDK hands them out: put together from the stream, and checked."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping
from dataclasses import dataclass, field

import grpc

from service.client.failures import ClientError
from service.core.decodings import decode
from service.core.encodings import Encoded
from service.core.graph import Array
from service.core.introspection import Chunk, LayerEnd, LayerHeader, MapsEvent, MapsRequest, RunEnd, RunHeader


@dataclass(frozen=True, slots=True)
class LayerMaps:
    """One layer for one picture.

    `values` [channels, height, width] are what `data`, the bytes as they came, holds: float32, the layer's own type
    for NPY and STORED, float16 for FLOAT16; UINT8 comes back as float32. They have no channels for STATISTICS and PNG.
    """

    header: LayerHeader
    data: bytes = field(repr=False)
    values: Array = field(repr=False)

    @property
    def id(self) -> str:
        """The layer's."""
        return self.header.layer.id


@dataclass(frozen=True, slots=True)
class FeatureMaps(Mapping[str, Array]):
    """What some layers saw in one picture: arrays [channels, height, width] by layer id, in the order of the network.

    `header` has the predictions and the picture's id, `end` the worst parity and what it took, `layers` all that is
    known about each layer.
    """

    header: RunHeader
    layers: Mapping[str, LayerMaps]
    end: RunEnd

    def __getitem__(self, id: str) -> Array:
        return self.layers[id].values

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)


async def assembled(
    events: AsyncIterable[MapsEvent], request: MapsRequest
) -> AsyncGenerator[RunHeader | LayerMaps | RunEnd, None]:
    """The events with each layer in one piece; raises `ClientError` for bytes that are not those that were sent."""
    data = bytearray()
    async for event in events:
        match event:
            case LayerHeader():
                layer, data = event, bytearray()
                if request.dry_run:
                    yield LayerMaps(layer, b"", decode(Encoded(b"", (0, 0, 0)), request.encoding.kind))
            case Chunk():
                _check(event.offset == len(data), event.ordinal, f"bytes {len(data)} to {event.offset} are missing")
                data += event.data
            case LayerEnd():
                _check(zlib.crc32(data) == event.crc32, event.ordinal, "its checksum does not fit its bytes")
                yield _layer(layer, bytes(data), request)
            case _:
                yield event


def _layer(header: LayerHeader, data: bytes, request: MapsRequest) -> LayerMaps:
    encoded = Encoded(data, header.shape, header.scale, header.offset, header.colormap, header.not_finite, header.dtype)
    return LayerMaps(header, data, decode(encoded, request.encoding.kind))


def _check(holds: bool, ordinal: int, problem: str) -> None:  # noqa: FBT001 - an assertion that stays
    if not holds:
        raise ClientError(grpc.StatusCode.DATA_LOSS, f"layer {ordinal} of the answer: {problem}")
