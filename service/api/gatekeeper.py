"""Around every gRPC method, where callers are to say who they are: what they may not do, or not so fast, ends here."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc

from service.api.guard import Context, refuse
from service.core.access import Caller, Scope, scope_of_call
from service.core.errors import ServiceError
from service.core.ports import Pacing
from service.security.gate import CALLER, Gate, admit

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # only the type checker can subscript it
Details = grpc.HandlerCallDetails


class Gatekeeper(grpc.aio.ServerInterceptor):
    """Lets callers through to what they may do, at their pace; a stream beyond its pace is read more slowly."""

    def __init__(self, gate: Gate, pacing: Pacing) -> None:
        self._gate = gate
        self._pacing = pacing

    async def intercept_service(
        self, continuation: Callable[[Details], Awaitable[Handler | None]], handler_call_details: Details
    ) -> Handler | None:
        """The method with the gate in front of it."""
        handler = await continuation(handler_call_details)
        scope = scope_of_call(handler_call_details.method)
        if handler is None or scope is None:
            return handler
        kind = _kind(handler)
        streamed = kind.startswith("stream_")
        behaviour = getattr(handler, kind)
        gated = (self._replying if inspect.isasyncgenfunction(behaviour) else self._answering)(
            behaviour, scope, streamed=streamed
        )
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(gated, handler.request_deserializer, handler.response_serializer)  # type: ignore[no-any-return]

    def _answering(self, behaviour: Callable[..., Awaitable[Any]], scope: Scope, *, streamed: bool) -> Any:
        async def call(request: Any, context: Context) -> Any:
            async with self._admitted(request, context, scope, streamed=streamed) as caller:
                return await behaviour(*self._metered(request, context, caller, streamed=streamed))

        return call

    def _replying(self, behaviour: Callable[..., AsyncIterator[Any]], scope: Scope, *, streamed: bool) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async with self._admitted(request, context, scope, streamed=streamed) as caller:
                async for reply in behaviour(*self._metered(request, context, caller, streamed=streamed)):
                    yield reply

        return call

    @asynccontextmanager
    async def _admitted(self, request: Any, context: Context, scope: Scope, *, streamed: bool) -> AsyncIterator[Caller]:
        try:
            caller = admit(self._gate, scope, _headers(context), _certificate(context))
            await self._pacing.enter(caller, 0 if streamed else request.ByteSize())
        except ServiceError as error:
            await refuse(context, error)
            raise  # unreachable: aborting raises
        CALLER.set(caller)
        try:
            yield caller
        finally:
            await self._pacing.leave(caller)

    def _metered(self, request: Any, context: Context, caller: Caller, *, streamed: bool) -> tuple[Any, Any]:
        if not streamed or not caller.allowance.limited:
            return request, context
        metered = _Metered(context, caller, self._pacing)
        return metered.messages(request), metered


class _Metered:
    """A call's context that reads no faster than its caller may send; the servicers read in one of the two ways."""

    def __init__(self, context: Context, caller: Caller, pacing: Pacing) -> None:
        self._context = context
        self._caller = caller
        self._pacing = pacing

    async def read(self) -> Any:
        message = await self._context.read()
        if message is not grpc.aio.EOF:
            await self._pacing.charge(self._caller, message.ByteSize())
        return message

    async def messages(self, arriving: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """What arrives, at the caller's pace."""
        async for message in arriving:
            await self._pacing.charge(self._caller, message.ByteSize())
            yield message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def _kind(handler: Handler) -> str:
    return f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"


def _headers(context: Context) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def _certificate(context: Context) -> str:
    """The common name of the client's certificate, which TLS has checked; empty without one."""
    names = context.auth_context().get("x509_common_name", ())
    return next((name.decode() for name in names), "")
