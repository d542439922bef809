"""`python -m tests.bench.capacity`: how much of everything so many pictures a second need.

Reads docs/bench-distributed.json, writes docs/capacity.md: what one picture costs, the model that follows, whether it
foretells the measured scaling curve, and its answers up to 10,000 pictures/s.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.cost import Cost
from tests.bench.many_workers import PER_WORKER

#: How busy a core may be on average: what is left is for bad minutes, and for a replica that is missed.
BUSY = 0.7
#: Bytes per second: what 10 Gbit/s carry, and what a usual SSD appends.
NETWORK, DISK = 1.25e9, 500e6
TARGETS = (100, 1_000, 10_000)
#: The row of the scaling curve whose costs foretell the others.
KNOWN = 32
#: Processes of that bench; each has one busy thread, hence one core.
THREADS = {"redis_cpu": "Redis", "front_end_cpu": "the front-end", "workers_cpu": "the workers' one process"}

Row = Mapping[str, float]


def foretold(row: Row, known: Row, cores: float) -> tuple[float, str]:
    """Pictures per second of so many workers, by what a picture costs at `known`, and what the limit is."""
    each = {name: known[name] / known["per_second"] for name in THREADS}
    limits = {f"one core of {title}": 1 / each[name] for name, title in THREADS.items()}
    limits |= {"the workers": row["workers"] * PER_WORKER, "this machine's cores": cores / sum(each.values())}
    limit = min(limits, key=lambda name: limits[name])
    return limits[limit], limit


def redis_limits(cost: Cost) -> dict[str, float]:
    """Pictures per second that one Redis carries, by what it could run out of."""
    limits = {
        "its one thread": BUSY * 1000 / cost.redis_ms,
        "its network": BUSY * NETWORK / max(cost.redis_in_bytes, cost.redis_out_bytes),
    }
    return limits | ({"its disk": BUSY * DISK / cost.redis_disk_bytes} if cost.durable else {})


def cores(milliseconds: float, rate: float) -> float:
    """So many, so that none is busier than `BUSY`."""
    return rate * milliseconds / 1000 / BUSY


def markdown(results: Mapping[str, Any]) -> str:
    """docs/capacity.md."""
    found = [Cost(**each) for each in results["cost"]]
    parts = (_opening(results["host"]), _costs(found), _check(results["scaling"], results["host"]["cores"]))
    return "\n".join(line for part in (*parts, _needs(found)) for line in part) + "\n"


def _opening(host: Mapping[str, Any]) -> list[str]:
    return [
        "# Capacity",
        "",
        "Computed by `python -m tests.bench.capacity` from what `make bench` measured (bench-distributed.json):",
        f"{host['date']}, {host['cores']} cores of {host['cpu']}. **Measure your own machines before you buy any.**",
        "",
        "pictures/s = min(cores of workers / cost in a worker, cores of front-ends / cost there, one Redis)",
        "",
    ]


def _costs(found: Sequence[Cost]) -> list[str]:
    lines = [
        "## What one picture costs",
        "",
        "CPU time of each process, and bytes that Redis moves: with an append-only file, as docker-compose.yml has it",
        "for jobs (`appendfsync always`), and without one, which is enough for calls: front-ends send again what it",
        "forgot.",
        "",
        "| pictures | bytes | worker, ms | front-end, ms | Redis, ms | Redis receives | sends | writes down |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for cost in found:
        times = f"{cost.worker_ms:.2f} | {cost.front_end_ms:.2f} | {cost.redis_ms:.3f}"
        through = f"{cost.redis_in_bytes:,.0f} | {cost.redis_out_bytes:,.0f} | {cost.redis_disk_bytes:,.0f}"
        lines.append(f"| {_name(cost)} | {cost.picture_bytes:,} | {times} | {through} |")
    return lines


def _check(rows: Sequence[Row], machine: float) -> list[str]:
    lines = [
        "",
        "## Does the model hold?",
        "",
        "Workers whose engines sleep, so that a machine can have hundreds of them. What a picture costs is taken from",
        f"{KNOWN} workers only; the other rows are foretold.",
        "",
        "| bytes | workers | foretold, pictures/s | limited by | measured | measured / foretold |",
        "|--:|--:|--:|---|--:|--:|",
    ]
    for row in rows:
        known = next(each for each in rows if (each["bytes"], each["workers"]) == (row["bytes"], KNOWN))
        rate, limit = foretold(row, known, machine)
        measured = f"{row['per_second']:,.0f} | {row['per_second'] / rate:.2f}"
        lines.append(f"| {row['bytes']:,} | {row['workers']} | {rate:,.0f} | {limit} | {measured} |")
    return lines


def _needs(found: Sequence[Cost]) -> list[str]:
    lines = [
        "",
        f"## What so many pictures a second need, with cores {BUSY:.0%} busy",
        "",
        "| pictures | pictures/s | cores of workers | front-ends of a core | Redis | network, MB/s | disk, MB/s |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for cost in found:
        most = min(redis_limits(cost).values())
        through = max(cost.redis_in_bytes, cost.redis_out_bytes)
        for rate in TARGETS:
            front_ends = max(2, math.ceil(cores(cost.front_end_ms, rate)))
            needs = f"{cores(cost.worker_ms, rate):,.1f} | {front_ends} | {math.ceil(rate / most)}"
            flow = f"{rate * through / 1e6:,.1f} | {rate * cost.redis_disk_bytes / 1e6:,.1f}"
            lines.append(f"| {_name(cost)} | {rate:,} | {needs} | {flow} |")
    lines += ["", "Where one Redis ends, and by what (10 Gbit/s, a disk that appends 500 MB/s):", ""]
    for cost in found:
        limits = sorted(redis_limits(cost).items(), key=lambda item: item[1])
        lines.append(f"- {_name(cost)}: " + ", then ".join(f"{limit} at {rate:,.0f}/s" for limit, rate in limits))
    return lines


def _name(cost: Cost) -> str:
    calls = {"unary": "one per call", "batch": "64 per call"}[cost.method]
    return f"{cost.model}, {calls}, {'file' if cost.durable else 'no file'}"


def main() -> None:
    """Write it."""
    results = json.loads(Path("docs/bench-distributed.json").read_text())
    Path("docs/capacity.md").write_text(markdown(results))


if __name__ == "__main__":
    main()
