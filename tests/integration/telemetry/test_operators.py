"""What an operator asks of a process that runs: its status, its metrics, and more or fewer logs."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from service.client import Client
from service.core.access import Scope
from service.security import keys
from tests.guide import png
from tests.integration.distributed.deployment import Deployment, until
from tests.serving import PATIENT, Serving

NINE = png(bytes(range(9)))


def lines(server: Serving, event: str) -> list[dict[str, Any]]:
    return [entry for entry in map(json.loads, server.log) if entry["event"] == event]


def said(server: Serving, level: str) -> bool:
    """Whether the server has said that this is its level now."""
    return any(line["least"] == level for line in lines(server, "log level"))


def classify(server: str) -> None:
    with Client(server, retry=PATIENT) as client:
        client.classify(NINE, model="guide")


def test_the_level_of_logs_follows_signals(serve: Callable[..., Serving]) -> None:
    """SIGUSR1 for more: lines of requests appear, each with its id; SIGUSR2 for less: they stop."""
    server = serve("guide", LOG_LEVEL="error", LOG_FORMAT="json")
    classify(server.grpc)
    for level in ("warning", "info"):
        server.process.send_signal(signal.SIGUSR1)
        until(partial(said, server, level))
    classify(server.grpc)
    until(lambda: lines(server, "request"))
    server.process.send_signal(signal.SIGUSR2)
    until(lambda: len(lines(server, "log level")) == 3)
    classify(server.grpc)

    (line,) = lines(server, "request")
    assert (line["model"], line["method"], line["code"]) == ("guide", "Classify", "OK")
    assert line["request_id"]
    assert line["took_ms"] >= line["compute_ms"] > 0


def test_a_worker_passes_signals_to_its_child(deployment: Deployment) -> None:
    """Both of its processes change their level."""
    worker = deployment.worker(LOG_FORMAT="json")
    deployment.ready(worker)
    worker.process.send_signal(signal.SIGUSR1)

    until(lambda: worker.log.count('"least": "debug"') == 2)


def test_the_status_tells_what_runs(serve: Callable[..., Serving]) -> None:
    """Build, settings, models with their tuning, and the queue; as a page for a browser."""
    server = serve("guide")
    status = httpx.get(f"{server.http}/statusz").json()
    page = httpx.get(f"{server.http}/statusz", headers={"accept": "text/html,application/xhtml+xml"})

    assert list(status) == ["build", "ready", "config", "models", "queue"]
    assert status["build"]["role"] == "embedded"
    assert status["config"]["lanes"] == 2
    assert [(model["name"], model["state"]) for model in status["models"]] == [("guide", "ready")]
    assert status["models"][0]["tuning"]["chosen"]["provider"] == "cpu"
    assert status["queue"] == {"guide:1": {"entries": 0, "bytes": 0}}
    assert page.headers["content-type"].startswith("text/html")
    assert "<h2>models</h2>" in page.text


def test_the_status_needs_its_scope(serve: Callable[..., Serving]) -> None:
    """Where callers say who they are, only administrators see it; probes and metrics stay open."""
    (shop, shops), (admin, admins) = keys.new("shop", [Scope.INFER], {}), keys.new("ops", [Scope.ADMIN], {})
    server = serve("guide", KEYS=shops + admins)

    def status(**headers: str) -> int:
        return httpx.get(f"{server.http}/statusz", headers=headers).status_code

    assert status() == 401
    assert status(authorization=f"Bearer {shop}") == 403
    assert status(authorization=f"Bearer {admin}") == 200
    assert httpx.get(f"{server.http}/metrics").status_code == 200


def test_a_front_end_knows_its_workers(deployment: Deployment) -> None:
    """And a worker knows what it holds."""
    worker, front_end = deployment.worker(), deployment.front_end()
    deployment.ready(worker, front_end)
    told = front_end.get("/statusz").json()
    (post,) = told["workers"]["guide:1"]
    (name,) = worker.get("/statusz").json()["workers"]

    assert told["build"]["role"] == "front-end"
    assert post["worker"].startswith(name)
    assert post["lanes"] == 2
    check_metrics(front_end.get("/metrics").text)
    check_metrics(worker.get("/metrics").text)


def test_the_metrics_of_a_server_are_as_prometheus_wants_them(serve: Callable[..., Serving]) -> None:
    """After real requests, good and bad."""
    server = serve("guide")
    classify(server.grpc)
    httpx.post(f"{server.http}/v1/models/guide/classify", content=b"no picture")
    check_metrics(httpx.get(f"{server.http}/metrics").text)


def check_metrics(text: str) -> None:
    """`promtool check metrics` finds nothing, but for Triton's names, which are Triton's."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool is installed (Debian: prometheus)")
    found = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    ours = [line for line in (found.stdout + found.stderr).splitlines() if not line.startswith("nv_")]
    assert ours == []
    assert "vitrine_" in text
