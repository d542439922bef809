"""Grafana and the OpenTelemetry collector, which no test here can start: what they are told fits together."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


def compose() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def mounted(service: str) -> dict[str, Path]:
    """Where the service finds each of its files, and which one that is."""
    everything = compose()
    each = everything["services"][service]["configs"]
    return {one["target"]: ROOT / everything["configs"][one["source"]]["file"] for one in each}


def test_grafana_finds_what_it_is_told_to_look_for() -> None:
    """Every dashboard lies where its provider looks, and the data source is where Prometheus listens."""
    found = mounted("grafana")
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/vitrine.yml").read_text())["providers"]
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]

    inside = {path.resolve() for target, path in found.items() if target.startswith(provider["options"]["path"])}
    assert inside == {path.resolve() for path in DASHBOARDS}
    assert all(path.exists() for path in found.values())
    assert source["url"] == "http://prometheus:9090"
    networks = {name: set(service["networks"]) for name, service in compose()["services"].items()}
    assert networks["grafana"] & networks["prometheus"] - {"edge"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_ask_the_data_source_and_do_not_overlap(path: Path) -> None:
    """24 columns; each panel has an id, a title and a query of its own."""
    board = json.loads(path.read_text())
    cells = [
        (column, row)
        for panel in board["panels"]
        for column, row in itertools.product(
            range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"]),
            range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"]),
        )
    ]

    assert board["uid"] == path.stem
    assert len(set(cells)) == len(cells)
    assert max(column for column, _ in cells) < 24
    for key in ("id", "title"):
        assert len({panel[key] for panel in board["panels"]}) == len(board["panels"])
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"prometheus"}
    assert all(panel["targets"] for panel in board["panels"])


def test_the_collector_has_every_part_of_its_pipelines() -> None:
    """And none that nothing goes through; it stops taking in before the container's limit kills it."""
    config = yaml.safe_load(mounted("collector")["/etc/otelcol/config.yaml"].read_text())
    pipelines = config["service"]["pipelines"].values()

    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in pipelines for name in pipeline[kind]} == set(config[kind])
    assert all(pipeline["processors"][0] == "memory_limiter" for pipeline in pipelines)
    limit = compose()["services"]["collector"]["deploy"]["resources"]["limits"]["memory"]
    assert limit == "${COLLECTOR_MEMORY:-512m}"
    assert config["processors"]["memory_limiter"]["limit_mib"] < 512
    # Where docs/operations.md sends traces to, from the network that front-ends and workers are in.
    assert config["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] == "0.0.0.0:4317"
    networks = {name: set(service["networks"]) for name, service in compose()["services"].items()}
    assert networks["collector"] & networks["front-end"] & networks["worker"]
    assert "edge" in networks["collector"], "exporters lead out"
