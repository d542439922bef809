"""What callers asked for and were told: written down and fsynced, so that no crash of the test can forget it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


class Ledger:
    """Lines of JSON. Each says at which second of the system's monotonic clock something was so."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)

    def asked(self, ids: Iterable[str]) -> None:
        """These are about to be sent."""
        self._write("asked", ids)

    def told(self, ids: Iterable[str], outcome: str, message: str = "") -> None:
        """Callers were told: "right", "wrong" (another picture's answer), or the name of an error and what it says."""
        self._write("told", ids, outcome=outcome, message=message)

    def close(self) -> None:
        """No more to come."""
        os.close(self._file)

    def _write(self, kind: str, ids: Iterable[str], **more: str) -> None:
        line = {"kind": kind, "at": time.monotonic(), "ids": list(ids), **more}
        os.write(self._file, json.dumps(line).encode() + b"\n")
        os.fsync(self._file)


def lines(path: Path, kind: str) -> Iterator[dict[str, Any]]:
    """Those of one kind. A process that was killed may have left its last one half-way: nothing followed from it."""
    if path.exists():
        for text in path.read_text().splitlines(keepends=True):
            if text.endswith("\n") and (line := json.loads(text))["kind"] == kind:
                yield line
