"""One server for all these tests, and the Python of stock clients to speak with it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from tests.serving import Serving, starter

ROOT = Path(__file__).parents[3]
DIGITS = ROOT / "model" / "pictures" / "digits"
CLIENTS = ROOT / ".venv-clients" / "bin" / "python"

Facts = dict[str, Any]


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with starter(tmp_path_factory.mktemp("served")) as start:
        yield start("digits", "guide", MAX_BATCH_ITEMS="8", MAX_MESSAGE_BYTES="1000000")


@pytest.fixture
async def channel(serving: Serving) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(serving.grpc) as channel:
        yield channel


@pytest.fixture
def http(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.http) as client:
        yield client


@pytest.fixture(scope="session")
def client() -> Callable[..., Facts]:
    """Runs a script of `clients/` with stock client libraries, and returns what it found out."""
    if not CLIENTS.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no stock clients are installed: make clients")

    def run(script: str, *arguments: str) -> Facts:
        command = [str(CLIENTS), str(Path(__file__).parent / "clients" / script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        facts: Facts = json.loads(done.stdout)
        return facts

    return run
