"""`vitrine health` as a process, against a real server."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from tests.fake_server import Running
from tests.servers import free_port


def probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", "health", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_server_that_is_not_ready_fails_the_probe(server: Running) -> None:
    """It listens, and says itself that nothing may be sent."""
    outcome = probe("--server", server.address)

    assert (outcome.returncode, outcome.stdout) == (1, "NOT_SERVING\n")


def test_a_service_that_answers_passes_the_probe(server: Running) -> None:
    """Models can be asked for as soon as the server listens."""
    outcome = probe("--server", server.address, "--service", "vitrine.v1.Models")

    assert (outcome.returncode, outcome.stdout) == (0, "SERVING\n")


def test_a_server_that_is_not_there_fails_the_probe() -> None:
    """In one line, with gRPC's word for it."""
    outcome = probe("--server", f"127.0.0.1:{free_port()}", "--timeout-s", "2")

    assert outcome.returncode == 1
    assert outcome.stdout.startswith("UNAVAILABLE: ")


async def test_a_worker_is_asked_by_http() -> None:
    """Its reason for not being ready is what the probe prints."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 19\r\n\r\nnot ready: no Redis")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        outcome = await asyncio.to_thread(probe, "--http", f"http://127.0.0.1:{port}/readyz")

    assert (outcome.returncode, outcome.stdout) == (1, "not ready: no Redis\n")


def test_another_kind_of_url_is_refused() -> None:
    """A probe reads no files."""
    outcome = probe("--http", "file:///etc/passwd")

    assert outcome.returncode == 2
    assert "http: must be an http:// or https:// URL" in outcome.stderr
