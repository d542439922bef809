"""Around every gRPC method, where callers are to say who they are: what they may not do, or not so fast, ends here."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from service.api.guard import Context, refuse
from service.core.access import Caller, Scope, scope_of_call
from service.core.errors import ServiceError
from service.core.ports import Pacing
from service.security.gate import CALLER, Gate, admit
from service.security.pacing import charge

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # only the type checker can subscript it
Details = grpc.HandlerCallDetails


@dataclass(frozen=True, slots=True)
class _Door:
    """What a call asks of its caller, and who that is; None while only the call itself knows the certificate."""

    scope: Scope
    caller: Caller | None
    streamed: bool


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
        try:
            # Strangers are refused before their message is received: they could fill the memory with it.
            known = (
                None
                if self._gate.certifies
                else admit(self._gate, scope, _texts(handler_call_details.invocation_metadata))
            )
        except ServiceError as error:
            return _refusal(error)
        return self._gated(handler, scope, known)

    def _gated(self, handler: Handler, scope: Scope, known: Caller | None) -> Handler:
        kind = kind_of(handler)
        behaviour = getattr(handler, kind)
        gated = (self._replying if inspect.isasyncgenfunction(behaviour) else self._answering)(
            behaviour, _Door(scope, known, streamed=kind.startswith("stream_"))
        )
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(gated, handler.request_deserializer, handler.response_serializer)  # type: ignore[no-any-return]

    def _answering(self, behaviour: Callable[..., Awaitable[Any]], door: _Door) -> Any:
        async def call(request: Any, context: Context) -> Any:
            async with self._admitted(request, context, door) as caller:
                return await behaviour(*self._metered(request, context, caller, streamed=door.streamed))

        return call

    def _replying(self, behaviour: Callable[..., AsyncIterator[Any]], door: _Door) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            async with self._admitted(request, context, door) as caller:
                async for reply in behaviour(*self._metered(request, context, caller, streamed=door.streamed)):
                    yield reply

        return call

    @asynccontextmanager
    async def _admitted(self, request: Any, context: Context, door: _Door) -> AsyncIterator[Caller]:
        try:
            caller = door.caller or admit(
                self._gate, door.scope, _texts(context.invocation_metadata()), _certificate(context)
            )
            await self._pacing.enter(caller, 0 if door.streamed else request.ByteSize())
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
            await charge(self._pacing, self._caller, message.ByteSize())
        return message

    async def messages(self, arriving: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """What arrives, at the caller's pace."""
        async for message in arriving:
            await charge(self._pacing, self._caller, message.ByteSize())
            yield message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def kind_of(handler: Handler) -> str:
    """The name of the handler's method, such as "unary_stream"."""
    return f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"


def _refusal(error: ServiceError) -> Handler:
    async def call(_messages: Any, context: Context) -> None:
        await refuse(context, error)

    # To a client all four kinds of method look the same until it reads; this one waits for no message.
    return grpc.stream_stream_rpc_method_handler(call)


def _texts(metadata: Any) -> dict[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def _certificate(context: Context) -> str:
    """The common name of the client's certificate, which TLS has checked; empty without one."""
    names = context.auth_context().get("x509_common_name", ())
    return next((name.decode() for name in names), "")
