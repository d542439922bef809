"""docker-compose.yml, resolved by Compose, as `docker stack deploy` takes it: JSON in, JSON out (deploy/swarm.sh).

Swarm reads Compose's older format. What it has no word for is left out here, where the difference can be read; what it
alone understands stands in deploy/swarm.yml.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import sys
from pathlib import Path
from typing import Any

#: Of a service. Swarm builds nothing, restarts whatever ends, starts all at once (every service here waits for what it
#: needs), has profiles resolved already, and takes `no-new-privileges` from the engine's daemon.json only.
UNKNOWN = ("build", "restart", "depends_on", "profiles", "security_opt")
#: Compose marks what is unhealthy, Swarm kills it: a front-end that says for some minutes that nobody computes, or a
#: Redis that reads a large file, is not to die of that.
PATIENCE = {"start_period": "30m", "retries": 30}


class Unfit(Exception):
    """A setting that cannot be had in a swarm; the message names it."""


def stack(compose: dict[str, Any]) -> dict[str, Any]:
    """The stack for what `docker compose config --format json` says. Raises `Unfit`, and `OSError` for files."""
    name = compose["name"]
    return {
        # Clients before 25 want to be told the format.
        "version": "3.9",
        "services": {key: _service(key, service) for key, service in compose["services"].items()},
        "networks": compose["networks"],
        "volumes": compose["volumes"],
        "configs": {key: _content(name, key, each) for key, each in compose["configs"].items()},
        "secrets": {key: _content(name, key, each) for key, each in compose["secrets"].items()},
    }


def _service(key: str, service: dict[str, Any]) -> dict[str, Any]:
    kept = {field: value for field, value in service.items() if field not in UNKNOWN and value is not None}
    if "environment" in kept:
        # A variable without a value is one that was set nowhere.
        kept["environment"] = {name: value for name, value in kept["environment"].items() if value is not None}
    if "healthcheck" in kept:
        kept["healthcheck"] |= PATIENCE
    if "ports" in kept:
        kept["ports"] = [_port(key, port) for port in kept["ports"] if not _loopback(port)]
    return kept


def _loopback(port: dict[str, Any]) -> bool:
    """Whether it is for the machine itself: Swarm would publish it to the world, so it is left out."""
    return ipaddress.ip_address(port.get("host_ip", "0.0.0.0")).is_loopback  # noqa: S104 - it is read, not bound


def _port(key: str, port: dict[str, Any]) -> dict[str, Any]:
    host = port.get("host_ip")
    if host and not ipaddress.ip_address(host).is_unspecified:
        raise Unfit(
            f"{key}: port {port['target']} is for {host} only, but a swarm publishes on every address of every node: "
            "set VITRINE_BIND=0.0.0.0 or 127.0.0.1 (not published)"
        )
    # At each node that runs it: Swarm's mesh would hide callers' addresses, and forget connections that are idle.
    return {"mode": "host", "target": port["target"], "published": int(port["published"]), "protocol": port["protocol"]}


def _content(stack_name: str, key: str, source: dict[str, Any]) -> dict[str, Any]:
    """A config or secret, which Swarm never changes: what has another content has another name."""
    digest = hashlib.sha256(Path(source["file"]).read_bytes()).hexdigest()
    return {"file": source["file"], "name": f"{stack_name}_{key}_{digest[:12]}"}


def main() -> None:
    """From stdin to stdout."""
    try:
        json.dump(stack(json.load(sys.stdin)), sys.stdout, indent=1)
    except (Unfit, OSError) as error:
        sys.exit(f"deploy/swarm.py: {error}")


if __name__ == "__main__":
    main()
