"""The HTTP twin of `vitrine.v1.Introspection`, for browsers and curl: the same use cases at the same desk.

Pictures are sent once and asked about by their id, so that every answer has an address of its own.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from contextlib import aclosing

import numpy as np
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.core.attribution import AttributionEvent, AttributionProgress, AttributionResult
from service.core.errors import InvalidInput
from service.core.introspection import Chunk, LayerHeader, MapsEvent, MapsRequest, Picture, UnitRequest
from service.core.layers import Selector
from service.core.use_cases import Introspecting
from service.introspect.desk import Desk, named
from service.rpc import attribution_events
from service.rpc.introspection_answers import from_event, from_listing, from_unit
from service.web.answers import Cached, as_json, of_message, who
from service.web.bodies import body_of
from service.web.operations import MODEL, Operation
from service.web.queries import FORMS, AttributionQuery, LayersQuery, MapsQuery, Query, UnitQuery

#: Nobody waits for a page longer; gRPC callers say for themselves how long they wait.
TIMEOUT_S = 60.0
#: One answer is held in memory as a whole.
MAX_ANSWER_BYTES = 64 << 20

_log = structlog.get_logger("vitrine.introspection")

_MEDIA = {"png": "image/png", "npy": "application/octet-stream", "bin": "application/octet-stream"}
#: What each ending of the address of a map of evidence gives.
EVIDENCE_FORMS = ("png", "npy", "json")
_LAYER = {"description": "id of the layer", "schema": {"type": "string"}}
_FORM = {"description": "PNG of tiles, NumPy file, raw numbers, or what is known", "schema": {"enum": list(FORMS)}}


class IntrospectionTwin:
    """Takes requests off HTTP to `inside`, whose every step runs at the `desk`."""

    def __init__(self, inside: Introspecting, desk: Desk, max_image_bytes: int) -> None:
        self._inside = inside
        self._desk = desk
        self._max_image_bytes = max_image_bytes

    def operations(self) -> Sequence[Operation]:
        """What can be asked."""
        model = {"model": MODEL}
        return (
            Operation("POST", "/v1/images", "keepImage", "Keep a picture for a while", self.keep, takes_picture=True),
            Operation(
                "GET", "/v1/models/{model}/layers", "listLayers", "Every module call", self.layers, LayersQuery,
                places=model,
            ),
            Operation(
                "GET", "/v1/models/{model}/features/{layer:path}.{form}", "getFeatureMaps", "What a layer saw",
                self.features, MapsQuery, media=("application/json", *sorted(set(_MEDIA.values()))),
                places={**model, "layer": _LAYER, "form": _FORM},
            ),
            Operation(
                "GET", "/v1/models/{model}/explain", "explainUnit", "Every factor behind one value", self.explain,
                UnitQuery, places=model,
            ),
            Operation(
                "GET", "/v1/models/{model}/attribute.{form}", "attribute", "Where the evidence for a class is",
                self.attribute, AttributionQuery, media=("application/json", *sorted(set(_MEDIA.values()))),
                places={**model, "form": {**_FORM, "schema": {"enum": list(EVIDENCE_FORMS)}}},
            ),
        )  # fmt: skip

    async def keep(self, request: Request) -> Response:
        """Keep a picture; its id is what later questions name it by."""
        image = await body_of(request, self._max_image_bytes)
        asker = who(request)
        kept = await self._desk.run(lambda: self._inside.keep(image), asker)
        _log.info("picture kept", who=asker, received_bytes=len(image))
        return JSONResponse({"id": kept, "bytes": len(image)}, 201)

    async def layers(self, request: Request) -> Response:
        """The chosen layers."""
        query = LayersQuery.of(request)
        model: str = request.path_params["model"]
        asker = who(request)
        listing = await self._desk.run(lambda: self._inside.layers(model, query.version, query.selector()), asker)
        _log.info("layers", who=asker, model=str(listing.key), layers=len(listing.layers))
        cached = Cached.of(request, query, listing.digest)
        answer = cached.unchanged(request) or of_message(from_listing(listing))
        answer.headers.update(cached.headers)
        return answer

    async def features(self, request: Request) -> Response:
        """One layer's maps for one picture."""
        query, form = MapsQuery.of(request), request.path_params["form"]
        if form not in FORMS:
            raise InvalidInput("form", f"one of {', '.join(FORMS)}", repr(form))
        asked = _maps_request(request, query, form)
        cached = await self._cached(request, query, asked.layers)
        if unchanged := cached.unchanged(request):
            return unchanged
        asker = who(request)
        events = await self._desk.run(lambda: list(self._inside.maps(asked)), asker)
        answer = _described(events) if form == "json" else _data(events, query, form)
        sent_bytes = len(answer.body)
        _log.info("feature maps", who=asker, model=asked.model, **named(asked.layers.include), sent_bytes=sent_bytes)
        answer.headers.update(cached.headers)
        return answer

    async def explain(self, request: Request) -> Response:
        """One unit's arithmetic."""
        query = UnitQuery.of(request)
        cached = await self._cached(request, query, Selector((query.layer,)))
        if unchanged := cached.unchanged(request):
            return unchanged
        place = (query.channel, query.y, query.x)
        deadline = time.monotonic() + TIMEOUT_S
        asked = UnitRequest(
            request.path_params["model"], query.version, Picture(id=query.image), query.layer, place, deadline
        )
        asker = who(request)
        answer = of_message(from_unit(await self._desk.run(lambda: self._inside.unit(asked), asker)))
        _log.info("unit", who=asker, model=asked.model, layer=query.layer, place=place)
        answer.headers.update(cached.headers)
        return answer

    async def attribute(self, request: Request) -> Response:
        """Evidence for a class in one picture."""
        query, form = AttributionQuery.of(request), request.path_params["form"]
        if form not in EVIDENCE_FORMS:
            raise InvalidInput("form", f"one of {', '.join(EVIDENCE_FORMS)}", repr(form))
        asked = query.request(request.path_params["model"], form, time.monotonic() + TIMEOUT_S)
        cached = await self._cached(request, query, Selector(limit=1))
        if unchanged := cached.unchanged(request):
            return unchanged
        asker = who(request)
        # Event by event, so that nothing goes on when the server stops or the time is over.
        async with aclosing(self._desk.stream(self._inside.attribution(asked), asker)) as stream:
            events = [event async for event in stream if not isinstance(event, AttributionProgress)]
        answer = _evidence(events, form)
        _log.info("attribution", who=asker, model=asked.model, method=asked.method.value)
        answer.headers.update(cached.headers)
        return answer

    async def _cached(self, request: Request, query: Query, layers: Selector) -> Cached:
        """How the answer may be kept; raises what listing the layers does."""
        model: str = request.path_params["model"]
        listing = await self._desk.run(lambda: self._inside.layers(model, query.version, layers))
        return Cached.of(request, query, listing.digest)


def _maps_request(request: Request, query: MapsQuery, form: str) -> MapsRequest:
    layer: str = request.path_params["layer"]
    if set("*?") & set(layer):
        raise InvalidInput("layer", "the id of one layer, without wildcards", repr(layer))
    return MapsRequest(
        model=request.path_params["model"],
        version=query.version,
        pictures=(Picture(id=query.image),),
        layers=Selector((layer,)),
        wanted=query.wanted(),
        encoding=query.encoded(form),
        kernels=query.arithmetic(),
        max_bytes=MAX_ANSWER_BYTES,
        deadline=time.monotonic() + TIMEOUT_S,
    )


def _described(events: Sequence[MapsEvent]) -> JSONResponse:
    """All that is known about the maps but their values: the events' own messages, by their names."""
    parts = {}
    for event in events:
        message = from_event(event)
        kind = message.WhichOneof("event")
        if kind in {"header", "layer", "end"}:
            parts[kind] = as_json(getattr(message, kind))
    return JSONResponse(parts)


def _evidence(events: Sequence[AttributionEvent], form: str) -> Response:
    """The painted map, its numbers, or all that is known about it."""
    header, result = events
    assert isinstance(result, AttributionResult)
    if form == "png":
        assert result.painted is not None  # it was asked for
        return Response(result.painted.png, media_type=_MEDIA[form])
    if form == "npy":
        file = io.BytesIO()
        np.save(file, result.values, allow_pickle=False)
        return Response(file.getvalue(), media_type=_MEDIA[form])
    told = (as_json(attribution_events.from_event(event)) for event in (header, result))
    return JSONResponse({name: part for each in told for name, part in each.items()})


def _data(events: Sequence[MapsEvent], query: MapsQuery, form: str) -> Response:
    """The bytes, and in headers what is needed to read them."""
    (header,) = (event for event in events if isinstance(event, LayerHeader))
    data = b"".join(event.data for event in events if isinstance(event, Chunk))
    headers = {
        "vitrine-layer": header.layer.id,
        "vitrine-shape": _list(header.shape),
        "vitrine-channels": _list(header.channels),
        "vitrine-dtype": {"bin": query.encoding, "npy": header.layer.type.dtype}.get(form, ""),
        "vitrine-scale": _list(header.scale),
        "vitrine-offset": _list(header.offset),
        "vitrine-not-finite": _list(header.not_finite),
        "vitrine-colormap": header.colormap,
    }
    return Response(data, media_type=_MEDIA[form], headers={name: value for name, value in headers.items() if value})


def _list(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:.9g}" for number in numbers)
