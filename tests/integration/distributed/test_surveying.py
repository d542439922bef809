"""A front-end's metrics tell of the queue what only Redis knows."""

from __future__ import annotations

from tests.integration.distributed.deployment import Deployment, Started, WorkerStarted, until


def test_lanes_of_every_worker_are_counted(
    shared: Deployment, workers: tuple[WorkerStarted, WorkerStarted], front_end: Started
) -> None:
    """Two workers of two lanes each."""
    shared.ready(*workers, front_end)

    until(lambda: front_end.metric('vitrine_queue_lanes{model="guide",version="1"}') == 4)


def test_an_empty_queue_has_no_age(shared: Deployment, front_end: Started) -> None:
    """Nothing waits, nothing has died."""
    shared.ready(front_end)
    until(lambda: front_end.metric('vitrine_queue_lanes{model="guide",version="1"}') > 0)

    assert front_end.metric('vitrine_queue_oldest_seconds{model="guide",version="1"}') == 0
    assert front_end.metric('vitrine_dead_letters{model="guide",version="1"}') == 0
