"""A collector, a Redis, and servers that send what they have seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.distributed.conftest import deployed
from tests.integration.distributed.deployment import Deployment
from tests.otlp import Collector, collector
from tests.serving import Serving, starter


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """An OpenTelemetry collector, to which servers send soon."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with collector() as listening:
        yield listening


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Start a server over the named models, with VITRINE_* settings; it is ended after the test."""
    with starter(tmp_path) as start:
        yield start


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Nothing but a Redis yet."""
    yield from deployed(tmp_path)
