"""Predictions that all front-ends of one Redis log."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from service.core.errors import NoSuchPrediction
from service.core.events import Event, PredictionLogged
from service.core.messages import Lease, Options
from service.core.records import PredictionRecord, to_json
from service.queues.redis_predictions import RedisPredictions
from tests.contract.benches import MODEL, answer, request
from tests.integration.queues.parts import KEYS, address
from tests.servers import RedisServer

RECORD = PredictionRecord("a", 1000, "shop", MODEL, Options(), answer(Lease(request("a"), 0.0)), "", 7, kept=True)


async def test_a_prediction_is_found_by_every_front_end(server: RedisServer) -> None:
    """The newest under its id, with its input; the stream has all of them."""
    one = RedisPredictions(address(server), 10**6, 60, lambda _: None, KEYS)
    two = RedisPredictions(address(server), 10**6, 60, lambda _: None, KEYS)
    async with one, two:
        one.write(RECORD, b"\0picture")
        one.write(replace(RECORD, at_ms=2000, kept=False), b"larger")
        while int(server.send("XLEN", KEYS.predictions[0])) < 2:
            await asyncio.sleep(0.01)
        assert await two.find("a") == (replace(RECORD, at_ms=2000, kept=False), b"")
        with pytest.raises(NoSuchPrediction, match="no prediction 'b' is kept"):
            await two.find("b")


async def test_bytes_are_bounded(server: RedisServer) -> None:
    """The oldest leave, and what is counted is what is there."""
    size = len(to_json(RECORD)) + 7
    async with RedisPredictions(address(server), 2 * size, 60, lambda _: None, KEYS) as log:
        for name in "abc":
            log.write(replace(RECORD, id=name), b"picture")
        assert await log.find("c") == (replace(RECORD, id="c"), b"picture")
        assert await log.find("b") == (replace(RECORD, id="b"), b"picture")
        with pytest.raises(NoSuchPrediction):
            await log.find("a")

    assert int(server.send("GET", KEYS.predictions[3])) == 2 * size


async def test_a_redis_that_is_away_costs_the_record_only(server: RedisServer) -> None:
    """It is counted as failed."""
    events: list[Event] = []
    async with RedisPredictions(address(server), 10**6, 60, events.append, KEYS) as log:
        server.kill()
        log.write(RECORD, b"picture")
    assert events == [PredictionLogged("digits", "failed")]
