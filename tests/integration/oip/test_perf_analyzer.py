"""Triton's perf_analyzer, unchanged: it aborts where statistics do not add up, and crashes on contents not sent raw."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.integration.oip.conftest import ROOT
from tests.serving import Serving

PROGRAM = ROOT / ".venv-clients" / "perf_analyzer" / "perf_analyzer"
REQUESTS = 200


@pytest.mark.skipif(not PROGRAM.exists(), reason="perf_analyzer is not installed: make perf-analyzer")
@pytest.mark.parametrize(
    ("options", "batch"),
    [
        (("-i", "grpc"), 1),
        (("-i", "grpc", "-b", "4"), 4),
        (("-i", "grpc", "--streaming", "--async"), 1),
        (("-i", "http"), 1),
    ],
    ids=["unary", "batches", "streaming", "http"],
)
def test_it_measures_this_server(serving: Serving, options: tuple[str, ...], batch: int) -> None:
    """It finds the model by itself, sends what the metadata says, and agrees with our statistics."""
    address = serving.grpc if "grpc" in options else serving.http.removeprefix("http://")
    asked = ("-m", "digits", "-u", address, "--request-count", str(REQUESTS), "--concurrency-range", "2")
    done = subprocess.run([str(PROGRAM), *options, *asked], capture_output=True, text=True, check=False, timeout=120)
    counts = re.findall(r"^ +([A-Z][a-z ]+count): (\d+)$", done.stdout, re.MULTILINE)
    found = {name: int(value) for name, value in counts}

    assert done.returncode == 0, done.stdout + done.stderr
    assert found["Request count"] == REQUESTS
    # What is in flight when a window begins or ends is counted on one side only.
    assert abs(found["Successful request count"] - REQUESTS) <= 2
    assert found["Inference count"] == batch * found["Successful request count"]
