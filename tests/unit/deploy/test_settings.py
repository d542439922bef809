""".env.example explains every variable of the deployment, and shows its default."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
FILES = ("docker-compose.yml", "deploy/compose.gpu.yml")
#: Named with its default in deploy/swarm.sh, since `docker stack` reads no .env.
OF_SWARM = {"VITRINE_DATA_NODE": "node.role == manager"}


def explained() -> dict[str, str | None]:
    """Names and defaults; what is commented out has none."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = [re.fullmatch(r"(# )?([A-Z_]+)=(.*)", line) for line in lines]
    return {match[2]: None if match[1] else match[3] for match in found if match}


def read() -> dict[str, str | None]:
    """What the Compose files ask for: with defaults, or, where nothing is given, only if it is set."""
    texts = [(ROOT / name).read_text() for name in FILES]
    # The first file's defaults are the ones that are explained.
    asked = {
        name: default for text in reversed(texts) for name, default in re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text)
    }
    services = yaml.safe_load(texts[0])["services"].values()
    unset = {name for each in services for name, value in each.get("environment", {}).items() if value is None}
    return {**asked, **dict.fromkeys(unset)}


def test_every_variable_is_there_with_its_default() -> None:
    """None is missing, none is left over."""
    assert explained() == read() | OF_SWARM


def test_no_variable_is_read_without_a_default() -> None:
    """A file without .env is complete."""
    for text in ((ROOT / name).read_text() for name in FILES):
        assert re.findall(r"\$\{\w+(..)", text) == [":-"] * text.count("${")


def test_what_swarm_reads_is_what_its_script_sets() -> None:
    """By the same name, with the default that is explained."""
    (name,) = set(re.findall(r"\$\{([A-Z_]+)\}", (ROOT / "deploy" / "swarm.yml").read_text()))

    assert f"{name}=$(deploy/setting.sh {name} '{OF_SWARM[name]}')" in (ROOT / "deploy" / "swarm.sh").read_text()
