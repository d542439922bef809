"""The same in front of the HTTP port: what callers may not do, or not so fast, ends here."""

from __future__ import annotations

from math import inf

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from service.core.access import Caller, scope_of_path
from service.core.errors import InvalidInput, ServiceError, Unauthenticated
from service.core.ports import Pacing
from service.security.gate import CALLER, Gate, admit
from service.web.errors import answer

#: What somebody is called whose certificate TLS has checked: the HTTP server does not tell the name in it.
_CERTIFIED = "client certificate"


class Gatekeeper:
    """ASGI middleware. With `certified`, TLS has asked every client for a certificate."""

    def __init__(self, app: ASGIApp, gate: Gate, pacing: Pacing, *, certified: bool) -> None:
        self._app = app
        self._gate = gate
        self._pacing = pacing
        self._certificate = _CERTIFIED if certified else ""

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if connection["type"] != "http":
            await self._app(connection, receive, send)
            return
        try:
            caller = await self._admit(connection)
        except ServiceError as error:
            response = answer(error)
            if isinstance(error, Unauthenticated):
                response.headers["www-authenticate"] = 'Bearer realm="vitrine"'
            await response(connection, receive, send)
            return
        CALLER.set(caller)
        try:
            await self._app(connection, receive, send)
        finally:
            await self._pacing.leave(caller)

    async def _admit(self, connection: Connection) -> Caller:
        headers = Headers(scope=connection)
        caller = admit(self._gate, scope_of_path(connection["path"]), headers, self._certificate)
        if "transfer-encoding" in headers and caller.allowance.bytes_per_s < inf:
            raise InvalidInput("content-length", "must be told where bytes are counted", "a body in chunks")
        await self._pacing.enter(caller, int(headers.get("content-length", "0")))
        return caller
