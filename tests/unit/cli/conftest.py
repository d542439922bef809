"""The command as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

Vitrine = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_vitrine() -> Vitrine:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "service", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run
