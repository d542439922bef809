"""The part of `vitrine.v1.Introspection` that is about health: diagnose, compare, profile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import TypeVar

import structlog
from google.protobuf.message import Message

from service.api.asker import who
from service.api.deadline import deadline_of
from service.api.guard import Context, guarded
from service.core.errors import Refused
from service.core.use_cases import Diagnosing
from service.introspect.desk import Desk
from service.rpc.diagnostics import (
    from_comparison,
    from_diagnosis,
    from_latency,
    to_compare_request,
    to_diagnose_request,
    to_profile_request,
)
from service.rpc.pb.vitrine.v1 import diagnostics_pb2 as pb

Event = TypeVar("Event")

_log = structlog.get_logger("vitrine.introspection")


class DiagnosticsMethods:
    """Takes requests off the wire to `_health`, whose every step runs at the desk. All that is asked is logged."""

    _health: Diagnosing | None
    _desk: Desk
    _write: Callable[[Context, Message], Awaitable[None]]

    @guarded
    async def DiagnoseLayers(self, request: pb.DiagnoseLayersRequest, context: Context) -> None:
        """Each layer's health as soon as it is known; when the caller leaves, the rest is not computed."""
        asked = to_diagnose_request(request, deadline_of(context))
        try:
            await self._send(self._examiner.diagnose(asked), from_diagnosis, context)
        finally:
            _log.info("diagnosis", who=who(context), model=request.model, pictures=len(request.pictures))

    @guarded
    async def CompareVersions(self, request: pb.CompareVersionsRequest, context: Context) -> None:
        """Each layer's difference as soon as it is known; when the caller leaves, the rest is not computed."""
        asked = to_compare_request(request, deadline_of(context))
        try:
            await self._send(self._examiner.compare(asked), from_comparison, context)
        finally:
            _log.info("comparison", who=who(context), model=request.model, other=request.other or request.model)

    @guarded
    async def ProfileLayers(self, request: pb.ProfileLayersRequest, context: Context) -> pb.ProfileLayersResponse:
        """Times per kernel, and the layers in each."""
        asked = to_profile_request(request, deadline_of(context))
        found = await self._desk.run(lambda: self._examiner.profile(asked), who(context))
        _log.info("profile", who=who(context), model=request.model, runs=found.runs)
        return from_latency(found)

    @property
    def _examiner(self) -> Diagnosing:
        if self._health is None:
            raise Refused("diagnostics: not offered by this server")
        return self._health

    async def _send(self, events: Iterator[Event], message: Callable[[Event], Message], context: Context) -> None:
        async with aclosing(self._desk.stream(events, who(context))) as stream:
            async for event in stream:
                await self._write(context, message(event))
