from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from service.security.gate import CALLER
from service.security.pacing import LocalPacing
from service.security.tls import TlsFiles
from service.web.gatekeeper import Gatekeeper
from service.web.server import HttpServer
from tests.integration.security.conftest import Pki, Ring

Open = Callable[..., Awaitable[int]]


async def _caller(_request: Request) -> Response:
    return PlainTextResponse(CALLER.get().name)


PATHS = ("/healthz", "/v1/models", "/v1/models/digits/layers", "/v2/repository/models/digits/load")


@pytest.fixture
async def open_http(ring: Ring) -> AsyncIterator[Open]:
    """Start an HTTP port whose every path tells who calls; returns its port."""
    servers = []

    async def start(tls: TlsFiles | None = None) -> int:
        app = Starlette(routes=[Route(path, _caller, methods=["GET", "POST"]) for path in PATHS])
        gate = Gatekeeper(app, ring.gate, LocalPacing(), certified=tls is not None and tls.clients is not None)
        servers.append(HttpServer(gate, "127.0.0.1", 0, tls=tls))
        return await servers[-1].start()

    yield start
    for server in servers:
        await server.stop(0)


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        ("", "/healthz", 200),
        ("", "/v1/models", 401),
        ("shop", "/v1/models", 200),
        ("shop", "/v1/models/digits/layers", 403),
        ("lab", "/v1/models/digits/layers", 200),
        ("lab", "/v2/repository/models/digits/load", 403),
        ("shop", "/nowhere", 403),
    ],
)
async def test_paths_ask_for_their_scopes(open_http: Open, ring: Ring, key: str, path: str, status: int) -> None:
    """Probes ask for nothing; what nobody listed is for administrators."""
    headers = {"authorization": f"Bearer {ring.keys[key]}"} if key else {}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await open_http()}") as client:
        reply = await client.get(path, headers=headers)

    assert reply.status_code == status
    if status == 200:
        assert reply.text == (key or "anonymous")
    else:
        assert reply.json()["error"]["code"] == status
    assert ("www-authenticate" in reply.headers) == (status == 401)


async def test_too_many_requests_are_told_when_to_come_back(open_http: Open, ring: Ring) -> None:
    """429 with Retry-After in whole seconds."""
    headers = {"x-api-key": ring.keys["slow"]}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await open_http()}", headers=headers) as client:
        replies = [await client.get("/v1/models") for _ in range(3)]

    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[2].headers["retry-after"] == "1"
    assert "slow: at most 2 requests per second" in replies[2].json()["error"]["message"]


async def test_uploads_count_by_their_bytes(open_http: Open, ring: Ring) -> None:
    """A megabyte per second: the first one passes, the next must wait."""
    headers = {"x-api-key": ring.keys["slow"]}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await open_http()}", headers=headers) as client:
        replies = [await client.post("/v1/models", content=bytes(900_000)) for _ in range(2)]

    assert [reply.status_code for reply in replies] == [200, 429]
    assert "at most 1e+06 bytes per second" in replies[1].json()["error"]["message"]


async def test_bytes_that_are_counted_must_be_told_first(open_http: Open, ring: Ring) -> None:
    """A body in chunks would pass the limit uncounted; who has no such limit may send one."""

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(900_000)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await open_http()}") as client:
        refused = await client.post("/v1/models", content=chunks(), headers={"x-api-key": ring.keys["slow"]})
        taken = await client.post("/v1/models", content=chunks(), headers={"x-api-key": ring.keys["shop"]})

    assert (refused.status_code, taken.status_code) == (400, 200)
    assert refused.json()["error"]["field"] == "content-length"


async def test_https_and_certificates_of_clients(open_http: Open, pki: Pki) -> None:
    """With one that the authority signed a client is known; without one there is no connection."""
    chain, key = pki.issue("server", "127.0.0.1")
    port = await open_http(TlsFiles(chain, key, pki.ca))
    trusting = ssl.create_default_context(cafile=str(pki.ca))
    showing = ssl.create_default_context(cafile=str(pki.ca))
    showing.load_cert_chain(*pki.issue("printer"))

    async with httpx.AsyncClient(verify=showing) as client:
        assert (await client.get(f"https://127.0.0.1:{port}/v1/models")).text == "client certificate"
    async with httpx.AsyncClient(verify=trusting) as client:
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            await client.get(f"https://127.0.0.1:{port}/v1/models")


async def test_certificates_are_renewed_without_a_restart(open_http: Open, pki: Pki) -> None:
    """Within a second or two, connections get the new one."""
    port = await open_http(pki.server())
    renewed = Pki(type(pki.authority)(), pki.folder / "renewed")
    renewed.folder.mkdir()
    chain, key = renewed.issue("server", "127.0.0.1")
    key.replace(pki.folder / "server.key")
    chain.replace(pki.folder / "server.pem")

    trusting = ssl.create_default_context(cafile=str(renewed.ca))
    while True:
        async with httpx.AsyncClient(verify=trusting) as client:
            try:
                reply = await client.get(f"https://127.0.0.1:{port}/healthz")
            except httpx.ConnectError:
                continue
        assert reply.status_code == 200
        break
