"""A minute of fuzzing; `make fuzz` takes an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.session import run
from tests.fuzz.targets import TARGETS

#: So many inputs of each target, the same in every run: what fails here is a change, never luck. A minute in all on an
#: idle machine.
RUNS = {
    "picture": 8_000,
    "open_inference_grpc": 300_000,
    "open_inference_http": 400_000,
    "envelopes": 60_000,
    "addresses": 400_000,
}
SEED = 1
#: A machine that is too busy tries the first ones of them.
SECONDS, LEAST = 60, 200
pytest.importorskip("atheris", reason="atheris has wheels for x86-64 Linux only")


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_refusals(target: str, tmp_path: Path) -> None:
    """Whatever bytes come in, a target answers or refuses."""
    session = run(target, tmp_path / target, seconds=SECONDS, runs=RUNS[target], seed=SEED)

    assert session.findings == []
    assert not session.failed, session.output
    assert session.executions >= LEAST


def test_a_finding_is_kept(tmp_path: Path) -> None:
    """An error that no caller handles ends the run, and its input is there to be looked at: here by coverage."""
    session = run("planted", tmp_path, runs=1_000_000, seed=1)

    assert session.failed
    assert [path.read_bytes().startswith(b"trap") for path in session.findings] == [True]
