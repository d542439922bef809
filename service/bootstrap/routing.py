"""Routing: where the records lie, and what follows them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from service.config import Config
from service.core.events import Emit
from service.routing.file import RoutingFile
from service.routing.table import Catalog, RoutingTable


def filed(config: Config, catalog: Catalog, emit: Emit) -> RoutingTable:
    """Routings in a file of this process."""
    beside = config.data_dir or config.models
    return RoutingTable(RoutingFile(config.routing_file or beside / "routing.yaml"), catalog, emit)


def with_routes(routes: RoutingTable, follow: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Follow the routings, and then what is served: what callers are routed to is to be loaded first.

    A routing that cannot be read does not hold up the rest.
    """

    async def both() -> None:
        try:
            await routes.follow()
        finally:
            await follow()

    return both
