"""Images of this tree."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.stack import ROOT, docker


@contextmanager
def built(*builder: str, target: str = "serving", runtime: str = "cpu", buildkit: bool = False) -> Iterator[str]:
    """The name of an image that `builder` makes; its layers stay, so that the next build is quick."""
    name = f"vitrine:e2e-{secrets.token_hex(4)}"
    what = ("--file", "deploy/Dockerfile", "--target", target, "--build-arg", f"RUNTIME={runtime}", "--tag", name)
    outcome = subprocess.run(
        (*builder, *what, "."),
        cwd=ROOT,
        env=os.environ | {"DOCKER_BUILDKIT": str(int(buildkit)), "BUILDKIT_PROGRESS": "plain"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    yield name
    docker("image", "rm", "--no-prune", name)
