"""What a scrape tells of the queue in Redis."""

from __future__ import annotations

from service.core.messages import ModelKey, Priority
from service.queues.survey import LineSurvey, Post
from service.telemetry.metrics import Metrics

LINE = LineSurvey(
    model=ModelKey("digits", 3),
    entries=dict.fromkeys(Priority, 2),
    oldest_s=2.5,
    bytes=7000,
    ms_per_item=1.0,
    workers=(Post("a", lanes=2, leases=4), Post("b", lanes=1, leases=1), Post("dead", lanes=0, leases=1)),
    dead_letters=1,
)


def test_a_scrape_tells_what_was_surveyed_last() -> None:
    """Age of the oldest request, what is held, by how many lanes, and what has died."""
    metrics = Metrics("1")
    metrics.watch_lines().show([LINE])

    lines = metrics.render()[0].decode().splitlines()

    assert 'vitrine_queue_oldest_seconds{model="digits",version="3"} 2.5' in lines
    assert 'vitrine_queue_leased{model="digits",version="3"} 6.0' in lines
    assert 'vitrine_queue_lanes{model="digits",version="3"} 3.0' in lines
    assert 'vitrine_dead_letters{model="digits",version="3"} 1.0' in lines


def test_nothing_is_told_while_nobody_knows() -> None:
    """A number from before Redis went away would be taken for the present one."""
    metrics = Metrics("1")
    series = metrics.watch_lines()
    series.show([LINE])
    series.show([])

    assert 'model="digits"' not in metrics.render()[0].decode()
