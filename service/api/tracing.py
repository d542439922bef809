"""Around every gRPC method, where spans are wanted: the call, within the caller's own trace."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from service.api.gatekeeper import Details, Handler, kind_of
from service.api.guard import Context
from service.telemetry.tracing import Tracer

#: Asked every few seconds by whoever watches over the server: nobody reads such traces.
_PROBES = ("/grpc.health.v1.", "/grpc.reflection.")


class TracingInterceptor(grpc.aio.ServerInterceptor):
    """One SERVER span for each call, a stream included; reads `traceparent` and `tracestate` of its metadata."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def intercept_service(
        self, continuation: Callable[[Details], Awaitable[Handler | None]], handler_call_details: Details
    ) -> Handler | None:
        """The method within its span."""
        handler, name = await continuation(handler_call_details), handler_call_details.method
        if handler is None or name.startswith(_PROBES):
            return handler
        kind = kind_of(handler)
        behaviour = getattr(handler, kind)
        traced = (self._replying if inspect.isasyncgenfunction(behaviour) else self._answering)(behaviour, name)
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(traced, handler.request_deserializer, handler.response_serializer)  # type: ignore[no-any-return]

    def _answering(self, behaviour: Callable[..., Awaitable[Any]], name: str) -> Any:
        async def call(request: Any, context: Context) -> Any:
            with self._call(name, context):
                return await behaviour(request, context)

        return call

    def _replying(self, behaviour: Callable[..., AsyncIterator[Any]], name: str) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            with self._call(name, context):
                async for reply in behaviour(request, context):
                    yield reply

        return call

    @contextmanager
    def _call(self, name: str, context: Context) -> Iterator[None]:
        service, _, method = name.lstrip("/").partition("/")
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
        with self._tracer.call(name.lstrip("/"), headers, attributes) as span:
            try:
                yield
            finally:
                code = context.code() or grpc.StatusCode.OK
                span.set_attribute("rpc.grpc.status_code", code.value[0])
