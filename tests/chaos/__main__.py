"""The long form: `python -m tests.chaos [SCENARIO...]` plays scenarios, all without names, and writes the report."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.chaos.report import write
from tests.chaos.scenarios import ALL
from tests.chaos.verdict import Verdict, alone


def main() -> int:
    """The number of scenarios that went wrong."""
    chosen = [name.replace("_", " ") for name in sys.argv[1:]] or list(ALL)
    verdicts = [_played(name) for name in chosen]
    write([verdict.row() for verdict in verdicts])
    return sum(bool(verdict.faults) for verdict in verdicts)


def _played(name: str) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        verdict = asyncio.run(alone(ALL[name], Path(folder)))
    row = verdict.row()
    print(name, {key: row[key] for key in ("accepted", "answered", "lost", "duplicated", "in_vain", "recovery_s")})
    for fault in verdict.faults:
        print("   ", fault)
    return verdict


if __name__ == "__main__":
    sys.exit(main())
