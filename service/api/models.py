"""`vitrine.v1.Models`: what is served, loading and unloading it, and which version callers get."""

from __future__ import annotations

import structlog

from service.api.asker import who
from service.api.guard import Context, guarded
from service.core.errors import Unsupported
from service.core.use_cases import ModelCatalog, Routes
from service.rpc.models import check_name, from_status
from service.rpc.pb.vitrine.v1 import models_pb2 as pb
from service.rpc.pb.vitrine.v1 import models_pb2_grpc
from service.rpc.routing import from_record, to_routing

_log = structlog.get_logger("vitrine.models")


class ModelsServicer(models_pb2_grpc.ModelsServicer):
    """The catalog on the wire."""

    def __init__(self, catalog: ModelCatalog, routes: Routes | None = None) -> None:
        self._catalog = catalog
        self._known_routes = routes

    @guarded
    async def List(self, _request: pb.ListModelsRequest, _context: Context) -> pb.ListModelsResponse:
        """Every version that the store holds or that is loaded."""
        return pb.ListModelsResponse(models=[from_status(status) for status in self._catalog.list()])

    @guarded
    async def Get(self, request: pb.GetModelRequest, _context: Context) -> pb.Model:
        """One version, with the whole tuning table."""
        check_name(request.model)
        return from_status(self._catalog.get(request.model, request.version))

    @guarded
    async def Load(self, request: pb.LoadModelRequest, _context: Context) -> pb.Model:
        """Load one version and wait until it is ready or has failed."""
        check_name(request.model)
        return from_status(await self._catalog.load(request.model, request.version))

    @guarded
    async def Unload(self, request: pb.UnloadModelRequest, _context: Context) -> pb.UnloadModelResponse:
        """Unload one version, or every one, after what is in flight."""
        check_name(request.model)
        await self._catalog.unload(request.model, request.version)
        return pb.UnloadModelResponse()

    @guarded
    async def GetRouting(self, request: pb.GetRoutingRequest, _context: Context) -> pb.Routing:
        """The routing in force."""
        check_name(request.model)
        self._catalog.get(request.model, 0)
        return from_record(request.model, self._routes.get(request.model))

    @guarded
    async def SetRouting(self, request: pb.SetRoutingRequest, context: Context) -> pb.Routing:
        """Another routing, in force from now on."""
        asked = request.routing
        check_name(asked.model)
        record = await self._routes.set(asked.model, to_routing(asked), asked.revision)
        _log.info("routing set", who=who(context), model=asked.model, revision=record.revision)
        return from_record(asked.model, record)

    @guarded
    async def RollBackRouting(self, request: pb.RollBackRoutingRequest, context: Context) -> pb.Routing:
        """The routing before, in force again."""
        check_name(request.model)
        record = await self._routes.roll_back(request.model, request.revision)
        _log.info("routing rolled back", who=who(context), model=request.model, revision=record.revision)
        return from_record(request.model, record)

    @property
    def _routes(self) -> Routes:
        if self._known_routes is None:
            raise Unsupported("routing: this server has none")
        return self._known_routes
