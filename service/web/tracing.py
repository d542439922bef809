"""Around the HTTP application, where spans are wanted: each request, within the caller's own trace."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.telemetry.tracing import Tracer

#: Probes and metrics are asked every few seconds, and nobody reads their traces.
_TRACED = ("/v1/", "/v2/models/")


class TracingMiddleware:
    """One SERVER span for each request of the API."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer within a span."""
        if scope["type"] != "http" or not scope["path"].startswith(_TRACED):
            await self._app(scope, receive, send)
            return
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with self._tracer.call(f"{scope['method']} {scope['path']}", Headers(scope=scope), attributes) as span:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, noting)
