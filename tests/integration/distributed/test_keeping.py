"""Routings, the cache and the prediction log of front-ends whose workers are elsewhere."""

from __future__ import annotations

import shutil

import pytest

from service.client import Client, Credentials, Retry, Routing
from service.core.access import Scope
from service.core.errors import NoSuchPrediction, Overloaded, Reason
from service.security import keys
from tests.guide import png
from tests.integration.distributed.deployment import ZOO, Deployment, until

SETTINGS = {"CACHE_BYTES": "1000000", "PREDICTION_SHARE": "1"}


def test_two_front_ends_keep_one_pace(deployment: Deployment) -> None:
    """A caller of one request in 100 s has asked the one: the other tells it when to come again."""
    key, entry = keys.new("shop", [Scope.INFER], {"requests_per_s": 0.01})
    worker = deployment.worker()
    one, two = (deployment.front_end(KEYS=entry) for _ in range(2))
    deployment.ready(worker, one, two)
    known, once = Credentials(key), Retry(budget_s=0)
    picture = png(bytes(range(9)))
    with (
        Client(one.address("gRPC"), credentials=known, retry=once) as first,
        Client(two.address("gRPC"), credentials=known, retry=once) as second,
    ):
        first.classify(picture, model="guide")
        with pytest.raises(Overloaded, match=r"at most 0\.01 requests per second") as caught:
            second.classify(picture, model="guide")

    assert caught.value.reason is Reason.CALLER_RATE
    assert 30 < caught.value.retry_after_s <= 100


def test_two_front_ends_route_cache_and_log_as_one(deployment: Deployment) -> None:
    """What one is told the other follows, has answered it finds, has logged it can tell; workers keep old versions."""
    models = deployment.folder / "models"
    shutil.copytree(ZOO / "guide" / "1", models / "guide" / "1")
    worker = deployment.worker(models, KEEP_VERSIONS="1")
    one, two = (deployment.front_end(**SETTINGS) for _ in range(2))
    deployment.ready(worker, one, two)
    with Client(one.address("gRPC")) as first, Client(two.address("gRPC")) as second:
        first.set_routing("guide", Routing({"stable": 1}))
        until(lambda: second.routing("guide").routing == Routing({"stable": 1}))
        shutil.copytree(ZOO / "guide" / "1", models / ".guide")
        (models / ".guide").rename(models / "guide" / "2")
        until(lambda: [model.version for model in second.models() if model.state == "ready"] == [1, 2])
        picture = png(bytes(range(9)))
        answer = first.classify(picture, model="guide", id="order-7")
        again = second.classify(picture, model="guide")

        def logged() -> bool:
            try:
                return second.prediction("order-7").answer == answer
            except NoSuchPrediction:
                return False

        until(logged)

    assert (answer.model.version, again.model.version, again.timing.provider) == (1, 1, "cache")
    assert two.metric('vitrine_cache_requests_total{model="guide",outcome="shared"}') == 1
