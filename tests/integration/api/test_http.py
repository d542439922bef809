"""The HTTP port on a real socket."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import httpx
import pytest

from service.core.errors import Refused
from service.telemetry.metrics import Metrics
from service.web.app import create_app
from service.web.server import HttpServer
from tests.fakes import FakeCatalog


@pytest.fixture
async def http(catalog: FakeCatalog) -> AsyncIterator[httpx.AsyncClient]:
    server = HttpServer(create_app("1.2.3", catalog, catalog.ready, Metrics("1.2.3").render), "127.0.0.1", 0)
    port = await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    await server.stop(1)


async def test_the_index_tells_what_is_here(http: httpx.AsyncClient) -> None:
    """Version, models and paths, for whoever opens the port in a browser."""
    index = (await http.get("/")).json()

    assert index["version"] == "1.2.3"
    assert index["models"][0] == {"name": "digits", "version": 3, "state": "ready", "latest": True}
    assert index["paths"] == ["/", "/healthz", "/readyz", "/metrics", "/openapi.json"]


async def test_live_and_ready_differ(http: httpx.AsyncClient, catalog: FakeCatalog) -> None:
    """A server that loads is alive; it is ready when it says so, and 503 tells why not."""
    catalog.readiness = (False, "no model is ready")
    live, loading = await http.get("/healthz"), await http.get("/readyz")
    catalog.readiness = (True, "")
    ready = await http.get("/readyz")

    assert (live.status_code, live.text) == (200, "live\n")
    assert (loading.status_code, loading.text) == (503, "not ready: no model is ready\n")
    assert (ready.status_code, ready.text) == (200, "ready\n")


async def test_metrics_are_prometheus_text(http: httpx.AsyncClient) -> None:
    """With the content type that scrapers check."""
    plain = await http.get("/metrics", headers={"accept": "*/*"})
    openmetrics = await http.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "vitrine_build_info" in plain.text
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")


async def test_a_taken_port_is_refused(http: httpx.AsyncClient, catalog: FakeCatalog) -> None:
    """With the address in the message, instead of ending the process as uvicorn would."""
    port = http.base_url.port
    assert port is not None
    second = HttpServer(create_app("1.2.3", catalog, catalog.ready, Metrics("1.2.3").render), "127.0.0.1", port)
    with pytest.raises(Refused, match=f"http: cannot listen on 127.0.0.1:{port}"):
        await second.start()


async def test_signals_stay_the_process_s(catalog: FakeCatalog) -> None:
    """Starting and stopping the HTTP port leaves the signal handlers as they were."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = HttpServer(create_app("1.2.3", catalog, catalog.ready, Metrics("1.2.3").render), "127.0.0.1", 0)
    await server.start()
    during = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    await asyncio.wait_for(server.stop(1), 10)

    assert during == before
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
