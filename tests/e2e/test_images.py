"""The images that deploy/Dockerfile makes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.images import built
from tests.e2e.stack import BASE, docker

pytestmark = pytest.mark.slow

#: What the image may add to its base, in bytes.
ROOM = 250_000_000
#: How a container is run.
RUN = ("User", "Env", "WorkingDir", "Entrypoint", "Cmd", "Healthcheck", "ExposedPorts", "Labels")


def buildkit() -> tuple[str, ...]:
    """A command that builds with BuildKit: buildx, or a client from before it, which asks the engine's own."""
    if subprocess.run(("docker", "buildx", "version"), capture_output=True, check=False).returncode == 0:
        return ("docker", "buildx", "build", "--load")
    for folder in os.get_exec_path():
        client = Path(folder) / "docker"
        if os.access(client, os.X_OK):
            asked = (str(client), "version", "--format", "{{.Client.Version}}")
            version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
            if int(version.partition(".")[0]) < 23:
                return (str(client), "build")
    pytest.skip("no buildx, and no client that builds with BuildKit without it")


@pytest.fixture
def other() -> Iterator[str]:
    """The same image by BuildKit; `image` is the classic builder's."""
    with built(*buildkit(), buildkit=True) as name:
        yield name


def files(image: str) -> list[str]:
    """Digest and path of each file that the image adds to its base."""
    listing = "find /opt/vitrine /models -type f -exec sha256sum {} +"
    return sorted(docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", listing).splitlines())


def settings(image: str) -> dict[str, Any]:
    config = json.loads(docker("image", "inspect", image))[0]["Config"]
    return {name: config.get(name) for name in RUN}


def test_the_image_is_small(image: str) -> None:
    """At most 250 MB above its base."""
    own, base = (int(docker("image", "inspect", "--format", "{{.Size}}", name)) for name in (image, BASE))

    assert own - base <= ROOM


def test_the_image_says_what_it_is(image: str) -> None:
    """Labels, a user without rights, a health check, and nothing that builds or trains."""
    config = settings(image)
    inside = "/opt/vitrine/lib/python3.11/site-packages"

    assert config["Labels"]["org.opencontainers.image.title"] == "Vitrine"
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"] == ["CMD", "vitrine", "health"]
    paths = [line.split(maxsplit=1)[1] for line in files(image)]
    assert not [path for path in paths if path.startswith((f"{inside}/torch/", f"{inside}/pip/"))]
    assert (
        docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", "command -v cc gcc || true") == ""
    )


def test_the_image_can_send_traces(image: str) -> None:
    """What the collector of docker-compose.yml is for; `vitrine doctor` finds nothing missing."""
    variables = ("VITRINE_OTLP_ENDPOINT=http://collector:4317", "VITRINE_INSECURE=true")
    chosen = (word for variable in variables for word in ("--env", variable))

    assert "error" not in docker("run", "--rm", "--network", "none", *chosen, image, "doctor")


def test_nobody_is_told_what_is_served(image: str) -> None:
    """ONNX Runtime's telemetry is off. Where somebody turns it on, it leaves an id of the machine at home."""
    load = "import service.engine, onnxruntime; onnxruntime.InferenceSession('/models/digits/1/model.onnx')"

    def left(*variables: str) -> str:
        inside = ("sh", image, "-c", f'python -c "{load}" && find /tmp -type f')
        return docker("run", "--rm", "--network", "none", "--env", "HOME=/tmp", *variables, "--entrypoint", *inside)

    assert left() == ""
    assert "deviceid" in left("--env", "ORT_DISABLE_TELEMETRY=")


def test_both_builders_make_the_same_image(image: str, other: str) -> None:
    """BuildKit and the classic builder, each from nothing: byte for byte the same files, run in the same way."""
    assert files(other) == files(image)
    assert settings(other) == settings(image)
