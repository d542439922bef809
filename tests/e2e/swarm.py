"""The production stack as a Docker Swarm runs it, on a swarm of one node."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.e2e.stack import Stack, docker, until

#: The network that a swarm makes on its node and leaves behind.
BRIDGE = "docker_gwbridge"
SERVICES = ("balancer", "front-end", "prometheus", "redis", "worker")


@contextmanager
def one_node() -> Iterator[None]:
    """This engine is a swarm's manager; what made it one is undone, a swarm that was there stays."""
    if docker("info", "--format", "{{.Swarm.LocalNodeState}}") == "active":
        yield
        return
    had_bridge = _named("network", BRIDGE)
    docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
    try:
        yield
    finally:
        docker("swarm", "leave", "--force")
        if not had_bridge:
            docker("network", "rm", BRIDGE)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Swarm(Stack):
    """`deploy/swarm.sh`; `variables` name the ports, since nothing asks a swarm for a free one."""

    def up(self, *services: str) -> None:
        """Deploy all of it, or what has changed; returns when every replica runs and is healthy."""
        assert not services, "a stack is deployed as a whole"
        # This node's image is meant, and not one of that name in a registry.
        self.run("deploy/swarm.sh", "--resolve-image", "never")
        until(self._converged, "it is not healthy", timeout_s=300)

    def scale(self, service: str, replicas: int) -> None:
        docker("service", "scale", "--detach", f"{self.project}_{service}={replicas}")
        until(self._converged, f"{service} is not scaled")

    def containers(self, service: str) -> list[str]:
        return docker(
            "ps", "--quiet", "--filter", f"label=com.docker.swarm.service.name={self.project}_{service}"
        ).split()

    def address(self, service: str, port: int) -> str:
        ports = self._service(service)["Spec"]["EndpointSpec"]["Ports"]
        return f"localhost:{next(each['PublishedPort'] for each in ports if each['TargetPort'] == port)}"

    def query(self, expression: str) -> list[dict[str, Any]]:
        # Prometheus is published for nobody here.
        asking = ("promtool", "query", "instant", "--format", "json", "http://127.0.0.1:9090", expression)
        result: list[dict[str, Any]] = json.loads(docker("exec", self.containers("prometheus")[0], *asking))
        return result

    def logs(self) -> str:
        return docker("stack", "ps", "--no-trunc", self.project)

    def end(self) -> None:
        """Take it away with its networks and volumes; returns when nothing of it is left."""
        # Those that need Redis go first: nobody waits for what will not come back.
        asking = [f"{self.project}_{service}" for service in ("balancer", "front-end", "worker")]
        there = [name for name in docker("service", "ls", "--format", "{{.Name}}").split() if name in asking]
        if there:
            docker("service", "rm", *there)
        until(lambda: not any(map(_containers, asking)), "its front-ends and workers do not end")
        docker("stack", "rm", self.project)
        until(lambda: not self.remains("container") + self.remains("network"), "it does not end")
        if volumes := self.remains("volume"):
            docker("volume", "rm", *volumes)

    def remains(self, kind: str) -> list[str]:
        """Names of all the containers, networks, volumes, secrets, configs or services of it."""
        every = ("--all",) if kind == "container" else ()
        return docker(
            kind, "ls", "--quiet", *every, "--filter", f"label=com.docker.stack.namespace={self.project}"
        ).split()

    def _service(self, service: str) -> Any:
        return json.loads(docker("service", "inspect", f"{self.project}_{service}"))[0]

    def _converged(self) -> bool:
        """Whether every replica of what was deployed last is healthy, and no older one is left."""
        for service in SERVICES:
            if self._service(service).get("UpdateStatus", {}).get("State", "completed") != "completed":
                return False
        listed = docker("service", "ls", "--filter", f"name={self.project}_", "--format", "{{.Replicas}}")
        counts = [line.split("/") for line in listed.splitlines()]
        return len(counts) == len(SERVICES) and all(running == wanted for running, wanted in counts)


def _containers(service: str, *filters: str) -> list[str]:
    """Ids of a service's containers; the swarm keeps some that have ended."""
    chosen = (f"label=com.docker.swarm.service.name={service}", *filters)
    return docker("ps", "--all", "--quiet", *(f"--filter={each}" for each in chosen)).split()


def _named(kind: str, name: str) -> bool:
    return name in docker(kind, "ls", "--format", "{{.Name}}").split()
