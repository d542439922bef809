"""`vitrine.v1.Models`: what is served, and loading and unloading it."""

from __future__ import annotations

from service.api.guard import Context, guarded
from service.core.use_cases import ModelCatalog
from service.rpc.models import check_name, from_status
from service.rpc.pb.vitrine.v1 import models_pb2 as pb
from service.rpc.pb.vitrine.v1 import models_pb2_grpc


class ModelsServicer(models_pb2_grpc.ModelsServicer):
    """The catalog on the wire."""

    def __init__(self, catalog: ModelCatalog) -> None:
        self._catalog = catalog

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
