"""`vitrine serve` as a process, over a folder of models that a test may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.guide import NINE
from tests.serving import Serving, starter


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Start a server over the named models, with VITRINE_* settings; it is ended after the test."""
    with starter(tmp_path) as start:
        yield start


@pytest.fixture
def nine() -> bytes:
    """The picture of the worked example: pixels 0 to 8."""
    return NINE
