"""`vitrine queue`: what an operator sees, and does about what has died."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.client import Client, Retry
from service.core.errors import EngineFailed
from tests.guide import png
from tests.integration.distributed.deployment import ROOT, Deployment, until
from tests.integration.distributed.traps.sitecustomize import DEADLY

POISON = bytes([DEADLY]) + bytes(8)


def vitrine(deployment: Deployment, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of `vitrine queue`, asked about this deployment."""
    command = [sys.executable, "-m", "service", "queue", *arguments, "--redis", deployment.redis.url]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def told(done: subprocess.CompletedProcess[str]) -> Any:
    """What it printed as JSON."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_kills_its_worker_can_be_looked_at_and_tried_again(deployment: Deployment, tmp_path: Path) -> None:
    """Three deaths make a dead letter; it is listed, shown with its picture, tried again after a mend, and dropped."""
    worker, front_end = deployment.worker(), deployment.front_end()
    deployment.ready(worker, front_end)
    with (
        Client(front_end.address("gRPC"), retry=Retry(budget_s=0), timeout_s=60) as client,
        pytest.raises(EngineFailed, match="3 workers died while they computed this picture"),
    ):
        client.classify(png(POISON), model="guide")
    assert worker.log.count('"ended_by": "SIGSEGV"') == 3

    (letter,) = told(vitrine(deployment, "dead", "list", "--format", "json"))
    assert (letter["model"], letter["deaths"], letter["bytes"]) == ("guide:1", 3, len(png(POISON)))
    assert letter["letter"] in vitrine(deployment, "dead", "list").stdout
    saved = tmp_path / "picture.png"
    assert told(vitrine(deployment, "dead", "show", letter["letter"], "--image", str(saved))) == letter
    assert saved.read_bytes() == png(POISON)

    worker.stop()
    deployment.ready(mended := deployment.worker(TEST_DEADLY="no"))
    retried = vitrine(deployment, "dead", "retry", letter["letter"])
    assert (retried.returncode, retried.stdout.split(":")[0]) == (0, "answered"), retried.stderr
    assert told(vitrine(deployment, "dead", "list", "--format", "json")) == []
    assert mended.metric('vitrine_batch_size_sum{model="guide"}') == 1


def test_the_queue_is_a_table_and_json(deployment: Deployment) -> None:
    """Depth by priority, age, leases, lanes and workers, while a lane hangs and others wait."""
    worker, front_end = deployment.worker(), deployment.front_end()
    deployment.ready(worker, front_end)
    worker.hold.touch()
    command = ["-m", "service", "classify", "--server", front_end.address("gRPC"), "--model", "guide", "-"]
    picture = deployment.folder / "nine.png"
    picture.write_bytes(png(bytes(range(9))))
    caller = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert caller.stdin
    caller.stdin.write(f"{picture}\n".encode() * 20)
    caller.stdin.close()
    deployment.busy(16)

    (line,) = told(vitrine(deployment, "--once", "--format", "json"))
    assert (line["model"], line["version"], line["entries"]) == ("guide", 1, {"high": 0, "normal": 16, "bulk": 0})
    assert 0 < line["leased"] <= 16
    assert 0 < line["oldest_s"] < 60
    assert line["bytes"] == 16 * picture.stat().st_size
    assert [(post["lanes"], post["leases"]) for post in line["workers"]] == [(2, line["leased"])]
    table = vitrine(deployment, "--once").stdout
    assert "guide:1" in table
    assert line["workers"][0]["worker"] in table

    worker.hold.unlink()
    assert caller.wait(60) == 0
    until(lambda: told(vitrine(deployment, "--once", "--format", "json"))[0]["bytes"] == 0)


def test_it_follows_the_queue(deployment: Deployment) -> None:
    """Without --once it goes on, a line of JSON for each look, until it is interrupted."""
    command = [sys.executable, "-m", "service", "queue", "--redis", deployment.redis.url, "--format", "json"]
    with subprocess.Popen([*command, "--interval-s", "0.05"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout
        looks = [following.stdout.readline() for _ in range(3)]
        following.kill()

    assert looks == ["[]\n"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dead", "show", "1-1"), "dead letter: there is none called '1-1'"),
        (("dead", "retry", "1-1"), "dead letter: there is none called '1-1'"),
        (("dead", "drop", "1-1"), "dead letter: there is none called '1-1'"),
    ],
)
def test_what_is_not_there_is_one_line(deployment: Deployment, arguments: tuple[str, ...], message: str) -> None:
    """Exit code 2, and no traceback."""
    done = vitrine(deployment, *arguments)

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr


def test_a_redis_that_is_away_is_one_line() -> None:
    """It says where it looked for it, at once."""
    command = [sys.executable, "-m", "service", "queue", "--once", "--redis", "unix:///nowhere/s"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("vitrine: redis is away: ")
