"""The production stack in real containers, and what an operator's bad night does to it."""

from __future__ import annotations

import json
import ssl

import httpx
import pytest

from service.core.errors import Unauthenticated
from tests.e2e.stack import ROOT, Stack, docker, until
from tests.e2e.work import PICTURES, begun, check, finished, load, sdk, submit

pytestmark = pytest.mark.slow


def test_the_compose_files_are_clean(stack: Stack) -> None:
    """No warning and no error, with every profile and override."""
    every = ("--profile", "observability", "-f", "docker-compose.yml", "-f", "deploy/compose.gpu.yml")

    assert stack.compose(*every, "config", "--quiet") == ""


@pytest.mark.parametrize("service", ["front-end", "worker", "balancer", "redis", "prometheus"])
def test_containers_can_do_little(stack: Stack, service: str) -> None:
    """Each is healthy, has a user of its own, a file system it cannot write to, no capability, and a limit."""
    facts = stack.facts(stack.containers(service)[0])
    host = facts["HostConfig"]

    assert facts["State"]["Health"]["Status"] == "healthy"
    assert facts["Config"]["User"] not in {"", "root", "0"}
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
    assert host["Memory"] > 0
    assert "no-new-privileges" in host["SecurityOpt"]


def test_only_the_balancer_and_prometheus_can_be_reached(stack: Stack) -> None:
    """What others listen on is published nowhere, and secrets are in no environment."""
    for service in ("front-end", "worker", "redis"):
        facts = stack.facts(stack.containers(service)[0])
        assert not any((facts["NetworkSettings"]["Ports"] or {}).values())
        assert not any("PASSWORD=" in line for line in facts["Config"]["Env"])


def test_the_balancer_answers_by_tls_to_those_with_a_key(stack: Stack) -> None:
    """A key lets in, none does not; metrics are not for the world."""
    with stack.client() as client, stack.client(key=False) as stranger:
        assert client.classify(PICTURES[7], model="digits").predictions[0].label == "7"
        with pytest.raises(Unauthenticated):
            stranger.classify(PICTURES[7], model="digits")

    console = f"https://{stack.address('balancer', 8443)}"
    trusted = ssl.create_default_context(cafile=stack.secrets / "tls" / "ca.pem")
    assert httpx.get(f"{console}/readyz", verify=trusted).text == "ready\n"
    assert httpx.get(f"{console}/metrics", verify=trusted).status_code == httpx.codes.NOT_FOUND


def test_the_smoke_test_passes(stack: Stack) -> None:
    """`make smoke`: TLS, a key, a job, a feature map, the metrics of every replica."""
    said = stack.run("deploy/smoke.sh")

    assert "front-end: 2 of 2 scraped" in said
    assert said.endswith("== all is well")


async def test_workers_share_the_load(stack: Stack) -> None:
    """Three of them: each computes, as its own metrics tell."""
    stack.scale("worker", 3)
    async with sdk(stack) as client:
        check(await finished(client, (await submit(client)).id))

    def working() -> bool:
        return len(stack.query("sum by (instance) (vitrine_batch_size_count{job='worker'}) > 0")) == 3

    until(working, "not every worker has computed")
    stack.scale("worker", 2)


async def test_a_killed_worker_loses_nothing(stack: Stack) -> None:
    """SIGKILL for a whole worker container in the middle of a job: each item still has its one right answer."""
    async with sdk(stack) as client:
        job = await submit(client)
        await begun(client, job.id)
        docker("kill", "--signal", "KILL", stack.containers("worker")[0])

        check(await finished(client, job.id))


async def test_a_restarted_redis_loses_nothing(stack: Stack) -> None:
    """The queue itself goes away in the middle of a job, and comes back from its disk."""
    async with sdk(stack) as client:
        job = await submit(client)
        await begun(client, job.id)
        stack.compose("restart", "redis")

        check(await finished(client, job.id))


def test_front_ends_are_rolled_without_a_failed_call(stack: Stack) -> None:
    """Every front-end is replaced while two callers ask without a pause."""
    before = set(stack.containers("front-end"))
    with load(stack) as outcomes:
        stack.run("deploy/roll.sh", "front-end", timeout_s=900)

    assert outcomes.failed == []
    assert outcomes.answered > 0
    assert not before & set(stack.containers("front-end"))


def test_a_new_version_is_served_without_a_restart(stack: Stack) -> None:
    """A folder that appears in the models volume, whole at once, is what "latest" means soon after."""
    volume = f"type=volume,src={stack.project}_models,dst=/models"
    copy = "cp -r /models/guide/1 /models/guide/.new && mv /models/guide/.new /models/guide/2"
    docker("run", "--rm", "--mount", volume, "--entrypoint", "sh", stack.image, "-c", copy)

    with stack.client() as client:
        until(lambda: {2} == {m.version for m in client.models() if m.name == "guide" and m.latest}, "2 is not latest")


async def test_down_and_up_again_finds_jobs_and_results(stack: Stack) -> None:
    """Volumes outlive the containers."""
    async with sdk(stack) as client:
        job = await submit(client, 20)
        await finished(client, job.id)
    stack.compose("down", "--timeout", "60")
    stack.up()

    async with sdk(stack) as client:
        check(await finished(client, job.id), 20)


def test_what_prometheus_is_told_is_what_the_files_say(stack: Stack) -> None:
    """Its rules are loaded, and every kind of target is scraped."""
    assert {row["metric"]["job"] for row in stack.query("up == 1")} == {"front-end", "worker", "balancer", "prometheus"}
    groups = json.loads(httpx.get(f"http://{stack.address('prometheus', 9090)}/api/v1/rules", timeout=30).text)
    assert groups["status"] == "success"
    assert (ROOT / "deploy" / "prometheus" / "rules.yml").exists()
