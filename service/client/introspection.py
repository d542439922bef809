"""The part of the async client that looks into models.

async with AsyncClient("127.0.0.1:50051") as client:
    maps = await client.features("features.*", "cat.jpg", model="photos")
    print(maps.header.pictures[0].predictions[0].label, maps["features.0"].shape)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from service.client.caller import Caller
from service.client.feature_maps import FeatureMaps, LayerMaps, assembled
from service.client.values import Image
from service.core.attribution import (
    AttributionEvent,
    AttributionHeader,
    AttributionRequest,
    AttributionResult,
    Map,
    Method,
    Target,
)
from service.core.encodings import Encoding, Kind
from service.core.faithfulness import Check
from service.core.introspection import (
    Kernels,
    Listing,
    MapsEvent,
    MapsRequest,
    Picture,
    RunEnd,
    RunHeader,
    UnitAnswer,
    UnitRequest,
)
from service.core.layers import Selector
from service.core.maps import Wanted
from service.core.overlay import Overlay
from service.core.units import Place
from service.rpc import attribution, attribution_events
from service.rpc.introspection_questions import from_maps_request, from_selector, from_unit_request
from service.rpc.introspection_replies import to_event, to_listing, to_unit
from service.rpc.pb.vitrine.v1 import introspection_pb2 as pb
from service.rpc.pb.vitrine.v1.introspection_pb2_grpc import IntrospectionStub

#: Which layers: a pattern, several of them, or all that can be said.
Layers = str | Sequence[str] | Selector

_NUMBERS = Encoding(Kind.FLOAT32)
_WANTED = Wanted()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence for a class: what was asked and chosen, and what was found."""

    header: AttributionHeader
    result: AttributionResult

    @property
    def values(self) -> Map:
        """The map [height, width], in its own resolution and in units of the logits."""
        return self.result.values


class AsyncIntrospection(Caller):
    """Layers, feature maps, the arithmetic of units, and evidence for classes.

    Pictures may be given by the id of one sent before.
    """

    async def layers(self, model: str, layers: Layers = (), *, version: int = 0) -> Listing:
        """All that is known about the chosen layers, by default every module call. Version 0 is the latest."""
        request = pb.ListLayersRequest(model=model, version=version, layers=from_selector(selector(layers)))
        return to_listing(await self._call(lambda left_s: self._inside.ListLayers(request, timeout=left_s)))

    async def features(
        self,
        layers: Layers,
        image: Image | Picture,
        *,
        model: str,
        version: int = 0,
        wanted: Wanted = _WANTED,
        encoding: Encoding = _NUMBERS,
        kernels: Kernels | None = None,
        max_bytes: int = 0,
        timeout_s: float | None = None,
    ) -> FeatureMaps:
        """What the layers saw in a picture, as arrays by layer id. Raises `OverBudget`, naming what would fit."""
        request = MapsRequest(
            model=model,
            version=version,
            pictures=(await self._picture(image),),
            layers=selector(layers),
            wanted=wanted,
            encoding=encoding,
            kernels=kernels,
            max_bytes=max_bytes,
        )
        async with aclosing(self.maps(request, timeout_s=timeout_s)) as parts:
            return _all([part async for part in parts])

    async def maps(
        self, request: MapsRequest, *, timeout_s: float | None = None
    ) -> AsyncGenerator[RunHeader | LayerMaps | RunEnd, None]:
        """The same for whatever can be asked, layer by layer as they are computed; who leaves stops the rest."""
        asked = from_maps_request(request)
        replies = self._stream(lambda left_s: self._inside.GetFeatureMaps(asked, timeout=left_s), timeout_s)
        async with aclosing(replies), aclosing(_events(replies)) as events:
            async for part in assembled(events, request):
                yield part

    async def explain(
        self, layer: str, place: Place, image: Image | Picture, *, model: str, version: int = 0
    ) -> UnitAnswer:
        """Every factor behind the value at `place` (channel, y, x) of a layer, by its id."""
        request = UnitRequest(model, version, await self._picture(image), layer, place)
        asked = from_unit_request(request)
        return to_unit(await self._call(lambda left_s: self._inside.ExplainUnit(asked, timeout=left_s)), place)

    async def attribute(
        self,
        image: Image | Picture,
        *,
        model: str,
        version: int = 0,
        target: Target = None,
        versus: Target = None,
        method: Method | str = Method.AUTO,
        layer: str = "",
        signed: bool = False,
        overlay: Overlay | None = None,
        check: Check | None = None,
        timeout_s: float | None = None,
    ) -> Evidence:
        """Where the evidence for `target` is, by default for the best class; with `versus`, for it rather than that.

        `attribution` takes whatever else can be asked, and tells the progress.
        """
        request = AttributionRequest(
            model,
            version,
            await self._picture(image),
            Method(method),
            layer,
            target=target,
            versus=versus,
            signed=signed,
            overlay=overlay,
            check=check,
        )
        async with aclosing(self.attribution(request, timeout_s=timeout_s)) as events:
            return evidence_of([event async for event in events])

    async def attribution(
        self, request: AttributionRequest, *, timeout_s: float | None = None
    ) -> AsyncGenerator[AttributionEvent, None]:
        """The same, event by event with its progress; who leaves stops the rest."""
        asked = attribution.from_request(request)
        replies = self._stream(lambda left_s: self._inside.Attribute(asked, timeout=left_s), timeout_s)
        async with aclosing(replies):
            async for reply in replies:
                yield attribution_events.to_event(reply)

    async def _picture(self, image: Image | Picture) -> Picture:
        return image if isinstance(image, Picture) else Picture(await self._bytes(image))

    @property
    def _inside(self) -> IntrospectionStub:
        return IntrospectionStub(self._channel)


def evidence_of(events: Sequence[AttributionEvent]) -> Evidence:
    """A whole answer: its header and its result."""
    header, *_, result = events
    assert isinstance(header, AttributionHeader)
    assert isinstance(result, AttributionResult)
    return Evidence(header, result)


def selector(layers: Layers) -> Selector:
    """A selector of what was given."""
    if isinstance(layers, Selector):
        return layers
    return Selector((layers,) if isinstance(layers, str) else tuple(layers))


async def _events(replies: AsyncGenerator[pb.FeatureMapsEvent, None]) -> AsyncGenerator[MapsEvent, None]:
    async for reply in replies:
        yield to_event(reply)


def _all(parts: Sequence[RunHeader | LayerMaps | RunEnd]) -> FeatureMaps:
    """A whole answer: its header, its layers, its end."""
    header, *layers, end = parts
    assert isinstance(header, RunHeader)
    assert isinstance(end, RunEnd)
    return FeatureMaps(header, {layer.id: layer for layer in layers if isinstance(layer, LayerMaps)}, end)
