"""`make fuzz`: every target for its share of FUZZ_SECONDS (an hour), over a corpus in runs/fuzz that grows.

Prints a table of executions and findings; ends with 1 when there was a finding, whose input lies in runs/fuzz.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.fuzz.session import run
from tests.fuzz.targets import TARGETS

FOLDER = Path("runs/fuzz")


def main() -> int:
    """Fuzz everything, one target after the other."""
    seconds = int(os.environ.get("FUZZ_SECONDS", "3600")) // len(TARGETS)
    print("| target | executions | seconds | edges | findings |\n|---|---|---|---|---|", flush=True)
    found = 0
    for name in TARGETS:
        session = run(name, FOLDER / name, seconds=seconds)
        finding = ", ".join(path.name for path in session.findings) or "none"
        print(f"| {name} | {session.executions:,} | {session.took_s:.0f} | {session.edges} | {finding} |", flush=True)
        if session.failed:
            found += 1
            sys.stderr.write(session.output)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
