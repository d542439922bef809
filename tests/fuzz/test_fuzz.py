"""A minute of fuzzing; `make fuzz` takes an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.session import run
from tests.fuzz.targets import TARGETS

#: Of each target: a minute in all.
SECONDS = 10
#: Even on a machine that is busy with other things; idle, a hundred times as many.
LEAST = {
    "picture": 200,
    "open_inference_grpc": 2_000,
    "open_inference_http": 2_000,
    "envelopes": 2_000,
    "addresses": 2_000,
}
pytest.importorskip("atheris", reason="atheris has wheels for x86-64 Linux only")


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_refusals(target: str, tmp_path: Path) -> None:
    """Whatever bytes come in, a target answers or refuses."""
    session = run(target, tmp_path / target, seconds=SECONDS)

    assert session.findings == []
    assert not session.failed, session.output
    assert session.executions >= LEAST[target]


def test_a_finding_is_kept(tmp_path: Path) -> None:
    """An error that no caller handles ends the run, and its input is there to be looked at: here by coverage."""
    session = run("planted", tmp_path, runs=1_000_000, seed=1)

    assert session.failed
    assert [path.read_bytes().startswith(b"trap") for path in session.findings] == [True]
