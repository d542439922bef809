"""Seconds of what `make soak` does for half an hour."""

from __future__ import annotations

from pathlib import Path

from tests.soak.soak import run


def test_nothing_is_left_open(tmp_path: Path) -> None:
    """Every kind of question is asked and answered as it should be, and all files are closed in the end."""
    soak = run(tmp_path, seconds=10)

    assert soak.unexpected == []
    assert min(soak.done.values()) > 0
    assert len(soak.done) == 12
    assert soak.files_after <= soak.files_before
