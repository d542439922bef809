"""`vitrine.v1.Introspection`: what a model saw, layer by layer."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import structlog
from google.protobuf.message import Message

from service.api.asker import who
from service.api.deadline import deadline_of
from service.api.diagnostics import DiagnosticsMethods
from service.api.guard import Context, guarded
from service.core.attribution import AttributionProgress
from service.core.errors import TooLate
from service.core.introspection import Chunk, LayerHeader
from service.core.use_cases import Diagnosing, Introspecting
from service.introspect.desk import Desk, named
from service.rpc import attribution_events
from service.rpc.attribution import to_request
from service.rpc.introspection import to_maps_request, to_selector, to_unit_request
from service.rpc.introspection_answers import from_event, from_listing, from_unit
from service.rpc.models import check_name
from service.rpc.pb.vitrine.v1 import attribution_pb2, introspection_pb2_grpc
from service.rpc.pb.vitrine.v1 import introspection_pb2 as pb

#: A caller that takes nothing for so long holds a place that others wait for.
STALL_S = 30.0

_log = structlog.get_logger("vitrine.introspection")


class IntrospectionServicer(DiagnosticsMethods, introspection_pb2_grpc.IntrospectionServicer):
    """Takes requests off the wire to `inside`, whose every step runs at the `desk`. All that is shown is logged."""

    def __init__(
        self, inside: Introspecting, desk: Desk, stall_s: float = STALL_S, health: Diagnosing | None = None
    ) -> None:
        self._health = health
        self._inside = inside
        self._desk = desk
        self._stall_s = stall_s

    def close(self) -> None:
        """Take no more work; what runs is finished."""
        self._desk.close()

    @guarded
    async def ListLayers(self, request: pb.ListLayersRequest, context: Context) -> pb.ListLayersResponse:
        """The chosen layers."""
        check_name(request.model)
        selector = to_selector(request.layers)
        asker = who(context)
        listing = await self._desk.run(lambda: self._inside.layers(request.model, request.version, selector), asker)
        _log.info("layers", who=asker, model=str(listing.key), layers=len(listing.layers))
        return from_listing(listing)

    @guarded
    async def GetFeatureMaps(self, request: pb.GetFeatureMapsRequest, context: Context) -> None:
        """Events as they are computed; when the caller leaves, the rest is not."""
        events = self._inside.maps(to_maps_request(request, deadline_of(context)))
        asker = who(context)
        layers, sent_bytes = list[str](), 0
        try:
            async with aclosing(self._desk.stream(events, asker)) as stream:
                async for event in stream:
                    await self._write(context, from_event(event))
                    layers += [event.layer.id] if isinstance(event, LayerHeader) else []
                    sent_bytes += len(event.data) if isinstance(event, Chunk) else 0
        finally:
            _log.info("feature maps", who=asker, model=request.model, **named(layers), sent_bytes=sent_bytes)

    @guarded
    async def ExplainUnit(self, request: pb.ExplainUnitRequest, context: Context) -> pb.ExplainUnitResponse:
        """Every factor behind one value."""
        asked = to_unit_request(request, deadline_of(context))
        asker = who(context)
        answer = await self._desk.run(lambda: self._inside.unit(asked), asker)
        _log.info("unit", who=asker, model=str(answer.key), layer=request.layer, place=asked.place)
        return from_unit(answer)

    @guarded
    async def Attribute(self, request: attribution_pb2.AttributeRequest, context: Context) -> None:
        """Events as they are computed; when the caller leaves, the rest is not."""
        asked = to_request(request, deadline_of(context))
        runs = 0
        try:
            async with aclosing(self._desk.stream(self._inside.attribution(asked), who(context))) as stream:
                async for event in stream:
                    await self._write(context, attribution_events.from_event(event))
                    runs = event.done if isinstance(event, AttributionProgress) else runs
        finally:
            _log.info("attribution", who=who(context), model=request.model, method=asked.method.value, runs=runs)

    async def _write(self, context: Context, event: Message) -> None:
        try:
            async with asyncio.timeout(self._stall_s):
                await context.write(event)
        except TimeoutError:
            raise TooLate(f"the caller took nothing for {self._stall_s:g} s") from None
