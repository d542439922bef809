"""How Compose's file becomes a Swarm stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.swarm import PATIENCE, UNKNOWN, Unfit, stack

PORT = {"mode": "ingress", "target": 50443, "published": "443", "protocol": "tcp"}


def compose(**service: Any) -> dict[str, Any]:
    """What `docker compose config` says of a project with one service."""
    parts: dict[str, Any] = {"networks": {}, "volumes": {}, "configs": {}, "secrets": {}}
    return {"name": "shop", "services": {"one": {"image": "vitrine", **service}}, **parts}


def of(**service: Any) -> Any:
    return stack(compose(**service))["services"]["one"]


def test_what_swarm_has_no_word_for_is_left_out() -> None:
    """And nothing else."""
    assert of(**dict.fromkeys(UNKNOWN, "x"), entrypoint=None, read_only=True) == {"image": "vitrine", "read_only": True}


def test_unset_variables_stay_unset() -> None:
    """Swarm would take them from the shell of whoever deploys."""
    assert of(environment={"SET": "1", "UNSET": None})["environment"] == {"SET": "1"}


def test_who_is_killed_for_being_unhealthy_is_given_time() -> None:
    """How it is asked stays."""
    assert of(healthcheck={"test": ["CMD", "x"], "retries": 3})["healthcheck"] == {"test": ["CMD", "x"], **PATIENCE}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_for_the_machine_itself_is_not_published(host: str) -> None:
    """A swarm would publish it on every address."""
    assert of(ports=[{**PORT, "host_ip": host}])["ports"] == []


@pytest.mark.parametrize("more", [{"host_ip": "0.0.0.0"}, {"host_ip": "::"}, {}])  # noqa: S104 - nothing is bound
def test_what_is_for_everybody_is_published_at_the_node(more: dict[str, str]) -> None:
    """With a number for the port, where Compose writes a text."""
    assert of(ports=[PORT | more])["ports"] == [{"mode": "host", "target": 50443, "published": 443, "protocol": "tcp"}]


def test_one_address_of_many_is_refused() -> None:
    """Rather than published on the others as well."""
    with pytest.raises(Unfit, match="port 50443 is for"):
        of(ports=[{**PORT, "host_ip": "10.0.0.7"}])


@pytest.mark.parametrize("kind", ["configs", "secrets"])
def test_another_content_has_another_name(tmp_path: Path, kind: str) -> None:
    """Swarm changes neither configs nor secrets: a renewed certificate is a new one."""
    file = tmp_path / "certificate"

    def named(content: str) -> str:
        file.write_text(content)
        name: str = stack(compose() | {kind: {"key": {"name": "shop_key", "file": str(file)}}})[kind]["key"]["name"]
        return name

    first, second = named("old"), named("new")
    assert first.startswith("shop_key_")
    assert first != second
    assert named("old") == first
