"""What is in deploy/ is valid, offline: manifests, rules, locks, the Dockerfile."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.core.messages import ModelKey
from service.queues.keys import Keys

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
#: Oldest and newest that are promised.
VERSIONS = ("1.29", "1.34")
#: Kinds of operators; Kubernetes' own schemas do not know them.
FOREIGN = {"PodMonitor", "ScaledObject", "TriggerAuthentication", "Kustomization"}
RULES = DEPLOY / "prometheus" / "rules.yml"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def documents(folder: Path) -> list[dict[str, Any]]:
    """Every manifest below `folder`."""
    return [each for path in sorted(folder.rglob("*.yaml")) for each in yaml.safe_load_all(path.read_text())]


def program(name: str) -> str:
    """A program of this environment or of the system; without it the test is skipped."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def passes(*command: str) -> None:
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def alerts() -> set[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_fit_kubernetes_schemas(version: str) -> None:
    """Strictly: a field that is misspelt is an error."""
    native = [each for each in documents(KUBERNETES) if each["kind"] not in FOREIGN]

    assert {"Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget"} < {
        e["kind"] for e in native
    }
    for each in native:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("overlay", ["base", "overlays/small", "overlays/autoscaled"])
def test_overlays_can_be_built(overlay: str) -> None:
    """By kustomize, and what comes out fits the schemas as well."""
    command = (program("kubectl"), "kustomize", str(KUBERNETES / overlay))
    built = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    manifests = list(yaml.safe_load_all(built))
    assert {"front-end", "worker"} <= {each["metadata"]["name"] for each in manifests}
    for each in manifests:
        if each["kind"] not in FOREIGN:
            kubernetes_validate.validate(each, VERSIONS[-1], strict=True)


def test_workers_are_scaled_by_the_length_of_streams_that_exist() -> None:
    """By the names that the queue uses, and without a consumer group, whose lag is not to be trusted."""
    scaled = next(each for each in documents(KUBERNETES) if each["kind"] == "ScaledObject")
    metadata = [trigger["metadata"] for trigger in scaled["spec"]["triggers"]]

    assert {each["stream"] for each in metadata} < set(Keys().of(ModelKey("digits", 1)).streams)
    assert not any("consumerGroup" in each for each in metadata)


def test_prometheus_takes_its_configuration() -> None:
    """And the rules that it names."""
    passes(program("promtool"), "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))


def test_alerts_come_when_they_should() -> None:
    """Each has a case in which it comes, and a time before at which it is quiet."""
    passes(program("promtool"), "test", "rules", str(DEPLOY / "prometheus" / "rules_test.yml"))
    cases = yaml.safe_load((DEPLOY / "prometheus" / "rules_test.yml").read_text())["tests"]
    tested = {each["alertname"]: each["exp_alerts"] for case in cases for each in case["alert_rule_test"]}

    assert {name for name, expected in tested.items() if expected} == alerts()


def test_every_alert_has_its_page() -> None:
    """In docs/operations.md, where its annotation points."""
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)

    assert set(headings) >= alerts()


def test_the_dockerfile_is_clean() -> None:
    """Says hadolint."""
    passes(program("hadolint"), str(DEPLOY / "Dockerfile"))


@pytest.mark.parametrize("runtime", ["cpu", "openvino", "gpu", "trainer"])
def test_locks_have_the_versions_that_were_tested(runtime: str) -> None:
    """Those of deploy/constraints.txt, each with hashes; `make requirements` writes them."""
    tested = {name.lower().replace("_", "-"): version for name, version in pins(DEPLOY / "constraints.txt").items()}
    locked = pins(DEPLOY / f"requirements-{runtime}.txt")

    assert locked
    for name, version in locked.items():
        assert tested.get(name, version) == version, f"{name}: run `make requirements`"
    for block in (DEPLOY / f"requirements-{runtime}.txt").read_text().split("\n\n"):
        assert "--hash=sha256:" in block


def test_the_gpu_image_is_one_argument_away() -> None:
    """It names the lock, and that differs by ONNX Runtime's build and the CUDA libraries which that one loads."""
    services = yaml.safe_load((DEPLOY / "compose.gpu.yml").read_text())["services"]
    cpu, gpu = (pins(DEPLOY / f"requirements-{runtime}.txt") for runtime in ("cpu", "gpu"))

    assert {name: service["build"] for name, service in services.items()} == {"worker": {"args": {"RUNTIME": "gpu"}}}
    assert {name for name in gpu.keys() - cpu.keys() if not name.startswith("nvidia-")} == {"onnxruntime-gpu"}
    assert cpu.items() - gpu.items() == {("onnxruntime", cpu["onnxruntime"])}


def pins(path: Path) -> dict[str, str]:
    """Names and versions in a file of requirements."""
    return dict(PIN.findall(path.read_text()))
