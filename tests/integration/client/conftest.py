"""A server to talk to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_server import Running, running_server


@pytest.fixture
def server() -> Iterator[Running]:
    with running_server() as running:
        yield running
