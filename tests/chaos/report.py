"""docs/chaos.md and docs/chaos.json: what was done to a deployment, and what its callers noticed."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

DOCS = Path(__file__).parents[2] / "docs"
_INTRODUCTION = """# Chaos

`make chaos` starts front-ends (`vitrine serve --redis`), workers (`vitrine worker`) and a Redis of its own for each
line of this table, breaks something while callers wait, and compares what the callers wrote down with what the workers
did. *Accepted* are the requests that admission let in; *shed* those that it refused, with a reason; *lost* those
accepted ones whose callers got no answer, or an error that the scenario does not account for; *duplicated* the
entries that were finished twice although Redis remembered the first time, and whoever was told twice; *in vain* the
computations that no answer came of. *Recovery* is explained by each story, and was measured on {cpus} cores. Of a job
each picture is a caller.
"""


def write(rows: Sequence[Mapping[str, Any]], docs: Path = DOCS) -> None:
    """Both files; rows of scenarios that were not played this time stay as they were."""
    path = docs / "chaos.json"
    before = json.loads(path.read_text())["scenarios"] if path.exists() else []
    known = {row["scenario"]: row for row in [*before, *rows]}
    facts = {
        "measured": datetime.now(UTC).date().isoformat(),
        "cpus": psutil.cpu_count(),
        "python": platform.python_version(),
    }
    path.write_text(json.dumps({**facts, "scenarios": list(known.values())}, indent=1) + "\n")
    (docs / "chaos.md").write_text(_markdown(list(known.values()), facts))


def _markdown(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    head = "| scenario | accepted | shed | answered | told an error | lost | duplicated | in vain | recovery (limit) |"
    table = [head, "|---|" + "---:|" * 8, *(_line(row) for row in rows)]
    stories = [f"- **{row['scenario']}**: {row['story']}" for row in rows]
    faults = [f"- **{row['scenario']}**: {fault}" for row in rows for fault in row["faults"]]
    parts = [_INTRODUCTION.format(**facts), "\n".join(table), "## What was done", "\n".join(stories)]
    parts += ["## What went wrong", "\n".join(faults)] if faults else []
    return "\n\n".join(part.strip() for part in parts) + f"\n\nMeasured on {facts['measured']}.\n"


def _line(row: Mapping[str, Any]) -> str:
    failed = ", ".join(f"{count} {name}" for name, count in row["failed"].items()) or "0"
    recovery = "" if row["recovery_s"] is None else f"{row['recovery_s']:.2f} s"
    limit = "" if row["limit_s"] is None else f" ({row['limit_s']:g} s)"
    counts = [row[name] for name in ("accepted", "shed", "answered")]
    rest = [row[name] for name in ("lost", "duplicated", "in_vain")]
    cells = [row["scenario"], *counts, failed, *rest, recovery + limit]
    return f"| {' | '.join(map(str, cells))} |"
