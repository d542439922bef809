"""What the HTTP port answers: probes, metrics, and an index of it all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from service.core.use_cases import ModelCatalog
from service.web.errors import HANDLERS
from service.web.operations import Operation, openapi
from service.web.status import Report, StatusPage

#: Takes an `Accept` header, returns the metrics and their content type.
Render = Callable[[str], tuple[bytes, str]]
#: Whether requests may be sent, and why not.
Ready = Callable[[], tuple[bool, str]]


def create_app(
    version: str,
    catalog: ModelCatalog,
    ready: Ready,
    render: Render,
    operations: Sequence[Operation] = (),
    *,
    report: Report | None = None,
) -> Starlette:
    """The application; `ready` decides `/readyz`, `render` writes `/metrics`, `operations` are the twin of the API.

    `report` is what `/statusz` tells, which is not there without.
    """

    async def index(_request: Request) -> Response:
        models = [
            {"name": status.key.name, "version": status.key.version, "state": status.state, "latest": status.latest}
            for status in catalog.list()
        ]
        return JSONResponse({"name": "vitrine", "version": version, "models": models, "paths": list(handlers)})

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("live\n")

    async def readyz(_request: Request) -> Response:
        is_ready, reason = ready()
        return PlainTextResponse("ready\n") if is_ready else PlainTextResponse(f"not ready: {reason}\n", 503)

    async def metrics(request: Request) -> Response:
        body, content_type = render(request.headers.get("accept", ""))
        # As a header, since starlette would add a charset to the media type that Prometheus' type has already.
        return Response(body, headers={"content-type": content_type})

    async def described(_request: Request) -> Response:
        return JSONResponse(openapi(version, operations))

    handlers = {
        "/": index,
        "/healthz": healthz,
        "/readyz": readyz,
        "/metrics": metrics,
        "/openapi.json": described,
    }
    if report:
        handlers["/statusz"] = StatusPage(report).answer
    routes = [Route(path, handler) for path, handler in handlers.items()]
    return Starlette(routes=[*routes, *(each.route() for each in operations)], exception_handlers=HANDLERS)
