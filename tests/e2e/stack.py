"""The production stack as an operator starts it: real containers, under a project name of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from service.client import Client, Retry
from service.client.credentials import Credentials

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "model" / "pictures" / "digits"
BASE = "python:3.11-slim-bookworm"


def docker(*arguments: str, timeout_s: float = 120.0) -> str:
    """What a docker command prints; a failed one fails the test with what it said."""
    outcome = subprocess.run(("docker", *arguments), capture_output=True, text=True, timeout=timeout_s, check=False)
    assert outcome.returncode == 0, f"docker {' '.join(arguments)}: {outcome.stdout}{outcome.stderr}"
    return outcome.stdout.strip()


def until(condition: Callable[[], object], what: str, timeout_s: float = 180.0) -> None:
    """Wait until it holds."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.2)


@dataclass
class Stack:
    """One Compose project. `files` beside docker-compose.yml are overrides."""

    project: str
    image: str
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def environment(self) -> dict[str, str]:
        """What `docker compose` is told; no .env of the developer's counts here."""
        free = ("VITRINE_GRPC_TLS", "VITRINE_HTTPS", "VITRINE_GRPC", "VITRINE_HTTP", "PROMETHEUS")
        ports = {f"{name}_PORT": "0" for name in free}
        # One lane and nothing measured: every start is quick, and jobs last long enough to be interrupted.
        chosen = {"PROVIDERS": "cpu", "LANES": "1", "INTRA_OP_THREADS": "1", "BATCH": "2"}
        computing = {f"VITRINE_{name}": value for name, value in chosen.items()}
        own = {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": os.pathsep.join(str(path) for path in (ROOT / "docker-compose.yml", *self.files)),
            "COMPOSE_ENV_FILES": os.devnull,
            "DOCKER_BUILDKIT": "0",
            "VITRINE_IMAGE": self.image,
            "VITRINE_SECRETS": str(self.secrets),
            "VITRINE": f"{sys.executable} -m service",
            "BIN": str(Path(sys.executable).parent),
        }
        return {**os.environ, **own, **ports, **computing, **self.variables}

    def run(self, *command: str, timeout_s: float = 300.0) -> str:
        """What a command prints, run as an operator would, in the repository."""
        outcome = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT, env=self.environment
        )
        assert outcome.returncode == 0, f"{' '.join(command)}: {outcome.stdout}{outcome.stderr}\n{self.logs()}"
        return outcome.stdout.strip()

    def compose(self, *arguments: str, timeout_s: float = 300.0) -> str:
        return self.run("docker", "compose", *arguments, timeout_s=timeout_s)

    def logs(self) -> str:
        """The last lines of every container."""
        command = ("docker", "compose", "logs", "--tail", "30", "--no-color")
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, env=self.environment
        ).stdout

    def up(self, *services: str) -> None:
        """Make the secrets, and start it; returns when all is healthy."""
        self.run("deploy/secrets.sh", str(self.secrets))
        self.compose("up", "--detach", "--wait", *services, timeout_s=900)

    def containers(self, service: str) -> list[str]:
        """Ids of its replicas that run."""
        return self.compose("ps", "--quiet", service).split()

    def scale(self, service: str, replicas: int) -> None:
        """Run so many of it, and wait until they are healthy."""
        scale = f"{service}={replicas}"
        self.compose("up", "--detach", "--no-deps", "--no-recreate", "--wait", "--scale", scale, service, timeout_s=900)

    def address(self, service: str, port: int) -> str:
        """Where a published port is."""
        return f"localhost:{self.compose('port', service, str(port)).rpartition(':')[2]}"

    def client(self, *, key: bool = True, timeout_s: float = 60.0, retry: Retry | None = None) -> Client:
        """The SDK, through the balancer, by TLS."""
        secret = (self.secrets / "api_key").read_text().strip() if key else ""
        credentials = Credentials(secret, str(self.secrets / "tls" / "ca.pem"))
        address = self.address("balancer", 50443)
        return Client(address, timeout_s=timeout_s, retry=retry, credentials=credentials)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus answers: a list of {"metric": labels, "value": [when, text]}."""
        url = f"http://{self.address('prometheus', 9090)}/api/v1/query"
        answer = httpx.get(url, params={"query": expression}, timeout=30)
        assert answer.is_success, answer.text
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def redis(self, *command: str) -> str:
        """A command for redis-cli; fails when Redis says no."""
        shell = 'REDISCLI_AUTH=$(cat /run/secrets/redis_password) exec redis-cli -e "$@"'
        return self.compose("exec", "-T", "redis", "sh", "-c", shell, "sh", *command)

    def facts(self, container: str) -> Any:
        """What `docker inspect` tells."""
        return json.loads(docker("inspect", container))[0]

    def end(self) -> None:
        """Leave nothing behind but the layers that make the next build quick."""
        command = ("docker", "compose", "down", "--volumes", "--timeout", "5", "--remove-orphans")
        subprocess.run(command, capture_output=True, timeout=300, check=True, cwd=ROOT, env=self.environment)
