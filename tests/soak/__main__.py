"""`make soak`: SOAK_SECONDS (half an hour) of mixed traffic; writes docs/soak.md and docs/soak.json."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.soak.soak import Soak, run

DOCS = Path("docs")
MIB = 2**20


def main() -> int:
    """Soak, and write what was seen; 1 when something went as it should not."""
    seconds = float(os.environ.get("SOAK_SECONDS", "1800"))
    with tempfile.TemporaryDirectory() as folder:
        soak = run(Path(folder), seconds)
    facts = {
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(soak.seconds[-1]),
        "done": soak.done,
        "unexpected": soak.unexpected,
        "rss_mib": [round(value / MIB, 1) for value in soak.rss],
        "rss_mib_per_hour": round(soak.slope(soak.rss) / MIB, 1),
        "files": soak.files,
        "files_per_hour": round(soak.slope(soak.files), 1),
        "files_before": soak.files_before,
        "files_after": soak.files_after,
        "load_average": [round(each, 1) for each in os.getloadavg()],
    }
    (DOCS / "soak.json").write_text(json.dumps(facts) + "\n")
    (DOCS / "soak.md").write_text(report(soak, facts))
    print((DOCS / "soak.md").read_text())
    return 1 if soak.unexpected or soak.files_after > soak.files_before else 0


def report(soak: Soak, facts: dict[str, object]) -> str:
    """As Markdown."""
    calls = "\n".join(f"| {name} | {count:,} |" for name, count in soak.done.items())
    wrong = "\n".join(f"- {each}" for each in soak.unexpected[:20]) or "Nothing."
    first, last = (round(soak.rss[at] / MIB) for at in (len(soak.rss) // 4, -1))
    return f"""# Soak

`make soak`, {facts["date"]}: one `vitrine serve` (CPU, two lanes for each model, jobs in its private Valkey) under all
kinds of traffic side by side for {facts["seconds"]} s. Samples of every second are in soak.json.

| | |
|---|---|
| resident memory, after a quarter and at the end | {first} MiB, {last} MiB |
| its slope after the first quarter | {facts["rss_mib_per_hour"]} MiB per hour |
| file descriptors before, at most, after | {soak.files_before}, {max(soak.files)}, {soak.files_after} |
| their slope after the first quarter | {facts["files_per_hour"]} per hour |
| load average of the machine at the end | {facts["load_average"]} |

| asked | times |
|---|---|
{calls}

## What went as it should not

{wrong}
"""


if __name__ == "__main__":
    sys.exit(main())
