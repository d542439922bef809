"""What callers of a front-end are told when there is nobody, or nothing, behind it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from service.client import Client, Retry
from service.core.errors import NotReady, Overloaded, Reason
from service.queues.redis_submissions import FrontEndTimes
from tests.guide import png
from tests.integration.distributed.deployment import Deployment, Started, until
from tests.servers import RedisServer, require

ONCE = Retry(budget_s=0)
NINE = png(bytes(range(9)))
SECRET = "correct horse"  # noqa: S105 - of a server that lives for one test


def answers(front_end: Started) -> bool:
    """Whether a picture is classified; whoever may not be asked now says that it is not ready."""
    with Client(front_end.address("gRPC"), retry=ONCE) as client:
        try:
            client.classify(NINE, model="guide")
        except (NotReady, Overloaded):
            return False
    return True


def _waits(started: Started) -> bool:
    return "waiting for it" in started.log


def test_without_a_worker_callers_are_told_when_to_come_back(deployment: Deployment) -> None:
    """RESOURCE_EXHAUSTED with the reason NO_WORKERS and a delay; the model stays known."""
    worker, front_end = deployment.worker(), deployment.front_end()
    deployment.ready(worker, front_end)
    assert worker.stop() == 0
    with Client(front_end.address("gRPC"), retry=ONCE) as client:
        with pytest.raises(Overloaded, match="no worker serves this model version") as refused:
            client.classify(NINE, model="guide")
        until(lambda: client.model("guide").state == "available")

    assert refused.value.reason is Reason.NO_WORKERS
    assert refused.value.retry_after_s > 0
    assert front_end.get("/readyz").text == "not ready: no worker serves a model\n"


def test_a_redis_that_is_away_is_said_at_once_and_healed(deployment: Deployment) -> None:
    """UNAVAILABLE without waiting for a timeout; when Redis is back, empty, everything goes on by itself."""
    worker, front_end = deployment.worker(), deployment.front_end()
    deployment.ready(worker, front_end)
    assert answers(front_end)
    deployment.redis.kill()
    until(lambda: not front_end.get("/readyz").is_success)
    with Client(front_end.address("gRPC"), retry=ONCE) as client:
        asked = time.monotonic()
        with pytest.raises(NotReady, match="redis is away"):
            client.classify(NINE, model="guide")
        assert time.monotonic() - asked < FrontEndTimes().patience_s  # 2 ms
    assert worker.get("/readyz").text.startswith("not ready: redis is away")
    deployment.redis.start()

    deployment.ready(worker, front_end)
    until(lambda: answers(front_end))
    assert worker.metric("vitrine_worker_restarts_total") == 0


def test_everything_may_be_started_in_any_order(deployment: Deployment) -> None:
    """Front-end and worker wait for a Redis that comes last, and end in order when told to while they wait."""
    deployment.redis.kill()
    worker, front_end, idle = deployment.worker(), deployment.front_end(), deployment.worker()
    for started in (worker, front_end, idle):
        until(partial(_waits, started))
    assert idle.stop() == 0
    deployment.redis.start()
    deployment.ready(worker, front_end)

    until(lambda: answers(front_end))


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose Redis wants a password."""
    require("redis")
    redis = RedisServer("redis", tmp_path, password=SECRET)
    redis.start()
    deployment = Deployment(tmp_path, redis)
    yield deployment
    deployment.end()
    redis.stop()


def test_passwords_come_from_a_variable_or_a_file(locked: Deployment, tmp_path: Path) -> None:
    """And are never shown; a wrong one is named for what it is."""
    file = tmp_path / "password"
    file.write_text(SECRET + "\n")
    worker = locked.worker(REDIS_PASSWORD=SECRET)
    front_end = locked.front_end(REDIS_PASSWORD_FILE=str(file))
    wrong = locked.front_end(REDIS_PASSWORD="guess")  # noqa: S106 - likewise
    locked.ready(worker, front_end)

    assert answers(front_end)
    until(lambda: "redis is away" in wrong.log)
    assert "password" in wrong.log
    assert [started.log.count(SECRET) + started.said.count(SECRET) for started in locked.started] == [0, 0, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"REDIS": "http://localhost"}, "redis: a URL that begins with one of redis, "),
        ({"REDIS_PASSWORD_FILE": "/nowhere/password"}, "redis_password_file: must be readable"),
    ],
)
@pytest.mark.parametrize("role", ["worker", "front_end"])
def test_a_wrong_setting_is_one_line(deployment: Deployment, role: str, settings: dict[str, str], message: str) -> None:
    """Exit code 2, said by the first process that sees it."""
    start: Callable[..., Started] = getattr(deployment, role)
    started = start(**settings)

    assert started.process.wait(60) == 2
    assert started.log.startswith(f"vitrine: {message}")
    assert started.log.count("\n") == 1


def test_a_front_end_drains(deployment: Deployment) -> None:
    """SIGTERM while callers wait for a lane: they get their answers, and the front-end exits with 0."""
    worker, front_end = deployment.worker(), deployment.front_end()
    deployment.ready(worker, front_end)
    worker.hold.touch()
    with Client(front_end.address("gRPC"), retry=ONCE) as client, ThreadPoolExecutor(3) as callers:
        asked = [callers.submit(client.classify, NINE, model="guide") for _ in range(3)]
        deployment.busy(3)
        front_end.process.send_signal(signal.SIGTERM)
        until(lambda: not front_end.get("/readyz").is_success)
        worker.hold.unlink()

        assert [call.result().model.name for call in asked] == ["guide"] * 3
    assert front_end.process.wait(60) == 0
