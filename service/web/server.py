"""uvicorn on the event loop that is already running, without its signal handlers."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Iterator
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from service.core.errors import Refused
from service.security.tls import TlsFiles
from service.security.watched import Renewed
from service.web.patience import Patience, protocol

#: Seconds between two looks at the certificates' files.
_LOOK_S = 1.0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises `Refused` when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise Refused(f"http: cannot listen on {host}:{port}: {error}") from error


class HttpServer:
    """Serves `app` on `host` and `port`, 0 for any free one; or on `listening`, where that socket is open already.

    With `tls`, certificates that are renewed count for the connections that come then.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        listening: socket.socket | None = None,
        *,
        tls: TlsFiles | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._listening = listening
        config = uvicorn.Config(
            app,
            http=protocol(patience or Patience()),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
        )
        config.load()
        self._certificates: Renewed[None] | None = None
        if tls:
            config.ssl = tls.context()
            self._certificates = Renewed("tls", tls.paths(), partial(tls.load_into, config.ssl))
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen, and return the port; raises `Refused` when the address cannot be had."""
        listening = self._listening or listen(self._host, self._port)
        self._serving = asyncio.create_task(self._server.serve([listening]))
        if self._certificates:
            self._renewing = asyncio.create_task(_renew(self._certificates))
        await self._server.listening.wait()
        port: int = listening.getsockname()[1]
        return port

    async def stop(self, grace_s: float) -> None:
        """Take no new connections, wait up to `grace_s` seconds for the answers under way."""
        if self._serving is None:
            return
        self._server.config.timeout_graceful_shutdown = math.ceil(grace_s)
        self._server.should_exit = True
        await self._serving
        if self._renewing:
            self._renewing.cancel()


async def _renew(certificates: Renewed[None]) -> None:
    while True:
        await asyncio.sleep(_LOOK_S)
        certificates.look()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the process, not to its HTTP port."""
        yield
