"""What jobs may ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.core.errors import InvalidInput
from service.core.jobs import (
    Durability,
    Item,
    Job,
    JobLimits,
    JobPriority,
    JobState,
    Order,
    check_chunk,
    check_order,
)
from service.core.messages import ModelKey, Options

LIMITS = JobLimits(max_chunk_items=3, max_bytes=100, max_ttl_s=60)
ORDER = Order("m", ttl_s=60)


def test_an_order_within_the_limits_passes() -> None:
    """The longest TTL, key and source are allowed."""
    check_order(replace(ORDER, idempotency_key="k" * 128, sources=("s" * 2048,) * 64), LIMITS)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (replace(ORDER, ttl_s=0), "ttl_seconds: 1 to 60, got 0"),
        (replace(ORDER, ttl_s=61), "ttl_seconds: 1 to 60, got 61"),
        (replace(ORDER, idempotency_key="k" * 129), "idempotency_key: at most 128 characters, got 129 characters"),
        (replace(ORDER, sources=("s",) * 65), "sources: at most 64, got 65"),
        (replace(ORDER, sources=("s" * 2049,)), "sources: at most 2048 characters each, got 2049 characters"),
    ],
)
def test_an_order_beyond_a_limit_is_refused(order: Order, message: str) -> None:
    """With the field, its limit and the value."""
    with pytest.raises(InvalidInput) as caught:
        check_order(order, LIMITS)
    assert str(caught.value) == message


def test_a_chunk_is_as_large_as_its_pictures_names_and_uris() -> None:
    """Its bytes are what admission counts."""
    assert check_chunk([Item("ab", b"123"), Item(uri="https://h/x"), Item()], LIMITS) == 5 + 11


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "items: 1 to 3 in a chunk, got 0"),
        ([Item()] * 4, "items: 1 to 3 in a chunk, got 4"),
        ([Item(image=b"x" * 101)], "items: at most 100 bytes in all jobs, got a chunk of 101 bytes"),
        ([Item(), Item("n" * 1025)], "items[1].name: at most 1024 characters, got 1025 characters"),
        ([Item(uri="s3://" + "x" * 2044)], "items[0].uri: at most 2048 characters, got 2049 characters"),
        (
            [Item(uri="http://host/x")],
            "items[0].uri: one that begins with file, https, s3, gs, got http://host/x",
        ),
        ([Item(uri="/etc/passwd")], "items[0].uri: one that begins with file, https, s3, gs, got /etc/passwd"),
    ],
)
def test_a_chunk_beyond_a_limit_is_refused(items: list[Item], message: str) -> None:
    """Naming the item."""
    with pytest.raises(InvalidInput) as caught:
        check_chunk(items, LIMITS)
    assert str(caught.value) == message


def test_an_item_is_called_by_its_name_or_its_uri() -> None:
    """The name wins."""
    assert [Item("n", uri="gs://b/o").label, Item(uri="gs://b/o").label, Item().label] == ["n", "gs://b/o", ""]


def test_each_priority_doubles_the_share() -> None:
    """Low, normal, high."""
    assert [priority.weight for priority in JobPriority] == [1, 2, 4]


def test_durability_is_ordered() -> None:
    """So that a server can be held to a least one."""
    assert Durability.UNVERIFIED < Durability.MEMORY < Durability.WRITTEN < Durability.FSYNCED


def test_a_job_ends_done_or_cancelled() -> None:
    """An open or running one goes on."""
    assert [state for state in JobState if state.ended] == [JobState.DONE, JobState.CANCELLED]


def test_finished_items_are_those_with_a_result() -> None:
    """Be it an answer or an error."""
    job = Job(
        id="j",
        model=ModelKey("m", 1),
        options=Options(),
        priority=JobPriority.NORMAL,
        state=JobState.RUNNING,
        durability=Durability.FSYNCED,
        items=9,
        next_chunk=1,
        succeeded=3,
        failed=2,
        in_flight=1,
        created_ms=1,
        ended_ms=0,
        ttl_s=60,
    )

    assert job.finished == 5
