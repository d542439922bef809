"""The capacity model: plain arithmetic over what was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.capacity import BUSY, DISK, NETWORK, cores, foretold, markdown, redis_limits
from tests.bench.cost import Cost
from tests.bench.many_workers import PER_WORKER

DOCS = Path(__file__).parents[3] / "docs"
COST = Cost(
    model="digits",
    method="unary",
    durable=True,
    picture_bytes=300,
    per_second=1000.0,
    front_end_ms=0.5,
    worker_ms=0.25,
    redis_ms=0.1,
    redis_in_bytes=1000.0,
    redis_out_bytes=800.0,
    redis_disk_bytes=1200.0,
)
#: A tenth of a millisecond of Redis for each picture, a fifth of the front-end, a quarter of the workers' process.
KNOWN = {"workers": 32, "per_second": 800.0, "redis_cpu": 0.08, "front_end_cpu": 0.16, "workers_cpu": 0.2}


@pytest.mark.parametrize(
    ("workers", "machine", "rate", "limit"),
    [
        (64, 8, 64 * PER_WORKER, "the workers"),
        (1000, 8, 4000, "one core of the workers' one process"),
        (1000, 1.1, 2000, "this machine's cores"),
    ],
)
def test_what_is_foretold_is_the_narrowest_part(workers: int, machine: float, rate: float, limit: str) -> None:
    """And it is named."""
    foretold_rate, named = foretold({"workers": workers}, KNOWN, machine)

    assert foretold_rate == pytest.approx(rate)
    assert named == limit


def test_one_redis_ends_by_its_thread_its_network_or_its_disk() -> None:
    """Each as busy as a core may be; the network counts in its busier direction."""
    limits = redis_limits(replace(COST, redis_out_bytes=5000.0))

    assert limits == {
        "its one thread": pytest.approx(BUSY * 10_000),
        "its network": pytest.approx(BUSY * NETWORK / 5000),
        "its disk": pytest.approx(BUSY * DISK / 1200),
    }
    assert "its disk" not in redis_limits(replace(COST, durable=False))


def test_cores_have_time_left() -> None:
    """A thousand times half a millisecond is half of a core, which may be busy for `BUSY` of its time."""
    assert cores(0.5, 1000) == pytest.approx(0.5 / BUSY)


def test_the_page_is_what_was_measured() -> None:
    """docs/capacity.md comes from docs/bench-distributed.json; without the one there is no other."""
    measured, page = DOCS / "bench-distributed.json", DOCS / "capacity.md"

    assert measured.exists() == page.exists()
    if measured.exists():
        assert page.read_text() == markdown(json.loads(measured.read_text()))
