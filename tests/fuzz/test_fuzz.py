"""A few seconds of each target; `make fuzz` takes an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.session import run
from tests.fuzz.targets import TARGETS

#: A few seconds of each.
RUNS = {
    "picture": 1_000,
    "open_inference_grpc": 10_000,
    "open_inference_http": 10_000,
    "envelopes": 10_000,
    "addresses": 10_000,
}
pytest.importorskip("atheris", reason="atheris has wheels for x86-64 Linux only")


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_refusals(target: str, tmp_path: Path) -> None:
    """Whatever bytes come in, a target answers or refuses."""
    session = run(target, tmp_path / target, runs=RUNS[target])

    assert session.findings == []
    assert not session.failed, session.output
    assert session.executions == RUNS[target]


def test_a_finding_is_kept(tmp_path: Path) -> None:
    """An error that no caller handles ends the run, and its input is there to be looked at: here by coverage."""
    session = run("planted", tmp_path, runs=1_000_000, seed=1)

    assert session.failed
    assert [path.read_bytes().startswith(b"trap") for path in session.findings] == [True]
