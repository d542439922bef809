"""One production stack for all tests here, built from this tree, and an engine to run it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.images import built
from tests.e2e.stack import ROOT, Stack

#: Gives a bare Debian machine a Docker engine and the base images.
ENGINE = ROOT.parent / "shared" / "docker" / "engine.sh"


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine with Compose, or else these tests are skipped, saying why."""
    if ENGINE.exists() and os.geteuid() == 0:
        subprocess.run((str(ENGINE),), capture_output=True, timeout=600, check=True)
    if shutil.which("docker") is None:
        pytest.skip("there is no docker here")
    for command in (("docker", "info"), ("docker", "compose", "version")):
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if outcome.returncode != 0:
            pytest.skip(f"{' '.join(command)}: {outcome.stderr.strip()}")


@pytest.fixture(scope="session")
def image(engine: None) -> Iterator[str]:  # noqa: ARG001 - it is to be there
    """The image of this tree; its layers stay, so that the next build is quick."""
    with built("docker", "build") as name:
        yield name


@pytest.fixture(scope="session")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All of docker-compose.yml, healthy."""
    started = Stack(f"vitrine-e2e-{secrets.token_hex(4)}", image, tmp_path_factory.mktemp("stack"))
    try:
        started.up()
        yield started
    finally:
        started.end()


@pytest.fixture(scope="session")
def disk(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:  # noqa: ARG001 - it is to be there
    """A disk of 24 MiB that outlives containers."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path_factory.mktemp("disk")
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=24m,mode=1777", "tmpfs", str(folder)), check=True)
    yield folder
    subprocess.run(("umount", str(folder)), check=True)


@pytest.fixture(scope="session")
def small(image: str, disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis on a small disk, a front-end, a worker and the balancer."""
    folder = tmp_path_factory.mktemp("small")
    override = folder / "small.yml"
    override.write_text(
        f"volumes: {{redis: {{driver: local, driver_opts: {{type: none, o: bind, device: {disk}}}}}}}\n"
    )
    started = Stack(f"vitrine-e2e-{secrets.token_hex(4)}", image, folder, {"VITRINE_FRONT_ENDS": "1"}, (override,))
    try:
        started.up("balancer", "worker")
        yield started
    finally:
        started.end()
