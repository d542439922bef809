"""KServe's gRPC client, unchanged, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.oip.conftest import DIGITS, Facts
from tests.serving import Serving


@pytest.fixture(scope="module")
def facts(client: Callable[..., Facts], serving: Serving) -> Facts:
    return client("kserve_grpc.py", serving.grpc, str(DIGITS))


def test_health(facts: Facts) -> None:
    """Live, ready, and the model too."""
    assert facts["health"] == [True, True, True]


def test_raw_and_typed_contents_are_the_same(facts: Facts) -> None:
    """Bytes and a list of numbers give the same logits."""
    assert facts["raw_and_typed"] == [True, [2, 10], "ours", "1"]


def test_encoded_pictures(facts: Facts) -> None:
    """The best scores are those of a zero, a one and a two."""
    assert facts["pictures"] == [0, 1, 2]
