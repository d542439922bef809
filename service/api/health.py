"""`grpc.health.v1`: of the server, of each service, of each model and of each of its versions."""

from __future__ import annotations

from typing import Any

from grpc_health.v1 import health, health_pb2

from service.core.use_cases import ModelCatalog

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health(health.aio.HealthServicer):
    """Beside the names that `set` is called for, it knows `MODEL` and `MODEL:VERSION` as the catalog has them.

    A model serves when one of its versions does. `Check` looks into the catalog; whoever watches is told by `follow`.
    """

    def __init__(self, catalog: ModelCatalog) -> None:
        super().__init__()
        self._catalog = catalog
        self._told: dict[str, Any] = {}

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> health_pb2.HealthCheckResponse:
        """The state of one name, as it is now."""
        await self.follow()
        return await super().Check(request, context)

    async def follow(self) -> None:
        """Tell whoever watches what has changed; a model that is gone serves no more."""
        states: dict[str, Any] = dict.fromkeys(self._told, NOT_SERVING)
        for status in self._catalog.list():
            for name in (status.key.name, str(status.key)):
                serving = status.state == "ready" or states.get(name) == SERVING
                states[name] = SERVING if serving else NOT_SERVING
        for name, state in states.items():
            if self._told.get(name) != state:
                await self.set(name, state)
        self._told = states
