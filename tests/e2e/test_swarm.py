"""docker-compose.yml as a Swarm stack: the same services, scaled and rolled by the swarm itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.e2e.stack import docker, until
from tests.e2e.swarm import SERVICES, Swarm, free_ports, one_node
from tests.e2e.work import PICTURES, begun, check, finished, load, sdk, submit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swarm(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """All of docker-compose.yml, healthy, on a swarm of one node; nothing of it is left."""
    names = ("VITRINE_GRPC_TLS_PORT", "VITRINE_HTTPS_PORT")
    everywhere = {"VITRINE_BIND": "0.0.0.0"}  # noqa: S104 - what Swarm does in any case
    variables = dict(zip(names, map(str, free_ports(2)), strict=True)) | everywhere
    with one_node():
        started = Swarm(f"vitrine-e2e-{secrets.token_hex(4)}", image, tmp_path_factory.mktemp("swarm"), variables)
        try:
            started.up()
            yield started
        finally:
            started.end()
        for kind in ("service", "container", "network", "volume", "secret", "config"):
            assert started.remains(kind) == []


def test_it_is_the_stack_that_compose_starts(swarm: Swarm) -> None:
    """It answers by TLS to a key, and each service is healthy and can do little."""
    with swarm.client() as client:
        assert client.classify(PICTURES[7], model="digits").predictions[0].label == "7"
    for service in SERVICES:
        facts = swarm.facts(swarm.containers(service)[0])
        host = facts["HostConfig"]
        assert facts["State"]["Health"]["Status"] == "healthy"
        assert facts["Config"]["User"] not in {"", "root", "0"}
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
        assert host["Memory"] > 0


def test_only_what_is_for_everybody_is_published(swarm: Swarm) -> None:
    """A swarm publishes on all addresses: what Compose keeps on loopback (no TLS, Prometheus) stays inside."""
    published = {
        service: sorted(swarm.facts(swarm.containers(service)[0])["HostConfig"]["PortBindings"] or {})
        for service in SERVICES
    }

    assert published == {service: [] for service in SERVICES} | {"balancer": ["50443/tcp", "8443/tcp"]}


async def test_workers_are_scaled_by_the_swarm(swarm: Swarm) -> None:
    """Three of them: each computes, as its own metrics tell."""
    swarm.scale("worker", 3)
    async with sdk(swarm) as client:
        check(await finished(client, (await submit(client)).id))

    def working() -> bool:
        return len(swarm.query("sum by (instance) (vitrine_batch_size_count{job='worker'}) > 0")) == 3

    until(working, "not every worker has computed")


def test_every_replica_is_scraped(swarm: Swarm) -> None:
    """Prometheus finds each by the name of its service."""

    def replicas(service: str) -> int:
        return len(swarm.query(f"up{{job='{service}'}} == 1"))

    def scraped() -> bool:
        return [replicas(name) for name in ("balancer", "front-end", "prometheus", "worker")] == [1, 2, 1, 3]

    until(scraped, "not every replica is scraped")


async def test_a_new_image_and_a_new_secret_are_rolled_without_a_failed_call(swarm: Swarm) -> None:
    """Front-ends and workers are replaced while two callers ask without a pause and a job is under way."""
    before = {service: set(swarm.containers(service)) for service in ("front-end", "worker")}
    renewed = f"{swarm.image}-next"
    docker("tag", swarm.image, renewed)
    new = ("keys", "new", "--name", "second", "--scopes", "infer", "--file", str(swarm.secrets / "api_keys"))
    async with sdk(swarm) as client:
        job = await submit(client)
        await begun(client, job.id)
        key = swarm.run(*swarm.environment["VITRINE"].split(), *new)
        with load(swarm) as outcomes:
            swarm.image = renewed
            swarm.up()
        check(await finished(client, job.id))

    assert outcomes.failed == []
    assert outcomes.answered > 0
    for service, old in before.items():
        now = swarm.containers(service)
        assert now
        assert not old & set(now)
        assert {swarm.facts(each)["Config"]["Image"] for each in now} == {renewed}
    (swarm.secrets / "api_key").write_text(key)
    with swarm.client() as client:
        assert client.classify(PICTURES[3], model="digits").predictions[0].label == "3"
    docker("image", "rm", renewed)
