"""Layers as outputs: any tensor inside the network, by its module's name, for one request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.core.access import Scope
from service.core.encodings import Encoding, Kind
from service.core.errors import InvalidInput, NoSuchLayer, Unsupported
from service.core.introspection import Chunk, LayerHeader, MapsEvent, MapsRequest, Picture
from service.core.layers import Selector
from service.core.messages import ModelKey
from service.core.use_cases import Introspecting
from service.introspect.desk import Desk
from service.oip.pictures import Pictures
from service.security.gate import CALLER


class LayerOutputs(Protocol):
    """Where the values of layers come from."""

    async def fetch(
        self, key: ModelKey, names: Sequence[str], pictures: Pictures, deadline: float
    ) -> Mapping[str, NDArray[np.float32]]:
        """The outputs [N, ...] of the layers. Raises any `ServiceError`."""


class NoLayers:
    """Where introspection is off."""

    async def fetch(
        self, _key: ModelKey, names: Sequence[str], _pictures: Pictures, _deadline: float
    ) -> Mapping[str, NDArray[np.float32]]:
        """Raise `Unsupported` for any layer."""
        raise Unsupported(f"outputs: {', '.join(names)} would be layers, and introspection is not offered here")


class TappedLayers:
    """Taken from tap sessions, at the desk of introspection: serving is never in their way."""

    def __init__(self, inside: Introspecting, desk: Desk) -> None:
        self._inside = inside
        self._desk = desk

    async def fetch(
        self, key: ModelKey, names: Sequence[str], pictures: Pictures, deadline: float
    ) -> Mapping[str, NDArray[np.float32]]:
        """The outputs [N, ...] of the layers.

        Raises `InvalidInput` for a name that the model does not have, `Forbidden` for who may not look into models.
        """
        caller = CALLER.get()
        caller.require(Scope.DEBUG)
        request = MapsRequest(
            model=key.name,
            version=key.version,
            pictures=tuple(Picture(bytes(image), keep=False, pixels=pictures.pixels) for image in pictures.images),
            layers=Selector(include=tuple(names)),
            encoding=Encoding(Kind.FLOAT32),
            deadline=deadline,
        )
        try:
            return await self._desk.run(lambda: _collect(self._inside.maps(request), names), caller.name)
        except NoSuchLayer as error:
            raise InvalidInput("outputs", "a declared output or a layer", str(error)) from None


def _collect(events: Iterator[MapsEvent], names: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
    """The values [N, ...] of each layer, from the events of its pictures. Blocks."""
    headers: dict[int, LayerHeader] = {}
    data: dict[int, bytearray] = {}
    for event in events:
        if isinstance(event, LayerHeader):
            headers[event.ordinal] = event
            data[event.ordinal] = bytearray()
        elif isinstance(event, Chunk):
            data[event.ordinal] += event.data
    values: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for ordinal, header in headers.items():
        if header.layer.id not in values:
            raise InvalidInput("outputs", "names of layers, without wildcards", names)
        values[header.layer.id].append(np.frombuffer(data[ordinal], "<f4").reshape(header.layer.type.shape))
    return {name: np.stack(arrays) for name, arrays in values.items()}
