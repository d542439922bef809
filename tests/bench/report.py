"""What the bench found, as JSON, Markdown and a plot."""

from __future__ import annotations

import datetime as dt
import json
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import numpy as np
import onnxruntime as ort
import psutil
import typer

from service.core.tuning import Tuning
from tests.bench.load import Run

Results = dict[str, Any]
Only = Annotated[list[str] | None, typer.Option(help="a part to measure again; the others stay as they are")]


def measured(parts: Mapping[str, Callable[[], Any]], path: Path, only: Collection[str] | None) -> Results | None:
    """Measure all parts, or `only` these and keep what the file says of the others; it is written anew.

    None while it lacks a part, which is said.
    """
    kept = json.loads(path.read_text()) if only and path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    results = kept | {name: parts[name]() for name in only or parts}
    path.write_text(json.dumps(results, indent=2) + "\n")
    if missing := parts.keys() - results.keys():
        print(f"no report before these are measured as well: {', '.join(sorted(missing))}")
        return None
    return results


def host() -> Results:
    """Where this was measured."""
    with Path("/proc/cpuinfo").open() as lines:
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cpu": cpu,
        "cores": len(psutil.Process().cpu_affinity()),
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
        "providers": ort.get_available_providers(),
        "grpcio": version("grpcio"),
    }


def on(machine: Results) -> str:
    """When and where that was, in a line."""
    return f"{machine['date']}: {machine['cores']} cores of {machine['cpu']}. Python {machine['python']}."


def workload(
    name: str, tuning: Tuning, rates: dict[str, float], served: Collection[str], median: Callable[[str], Run]
) -> Results:
    """One workload: rates in pictures per second; latencies of what went through the server, in milliseconds."""
    rows: Results = {row: {"per_second": rate} for row, rate in rates.items()}
    for row in served:
        run = median(row)
        rows[row] |= {"p50_ms": run.p50_ms, "p99_ms": run.p99_ms, "failed": run.failed}
    chosen = tuning.chosen
    setting = f"{chosen.label}, {chosen.lanes} lanes x {chosen.intra_op_threads} threads, batches up to {chosen.batch}"
    return {"name": name, "setting": setting, "rows": rows}


def slope(readings: Sequence[tuple[int, float]]) -> Results:
    """Least-squares slope of the second half, in MiB per 100,000 requests."""
    half = np.array(readings[len(readings) // 2 :])
    per_request = float(np.polyfit(half[:, 0], half[:, 1], 1)[0]) if len(half) > 1 else 0.0
    return {
        "requests": readings[-1][0],
        "first_mib": readings[0][1],
        "last_mib": readings[-1][1],
        "slope_mib_per_100k": per_request * 100_000,
    }


def markdown(results: Results) -> str:
    """The tables of docs/bench.md."""
    machine = results["host"]
    lines = [
        "# Bench",
        "",
        "Measured by `make bench`; the client runs on the same cores. Medians of interleaved rounds.",
        "",
        on(machine),
        f"ONNX Runtime {machine['onnxruntime']} ({', '.join(machine['providers'])}). grpcio {machine['grpcio']}.",
    ]
    for name in ("W1", "W2"):
        lines += ["", *_workload(results[name])]
    lines += [
        "",
        "## Start-up and memory",
        "",
        "| model, providers | ready after, s | resident, MiB | ONNX Runtime alone, MiB |",
        "|---|--:|--:|--:|",
    ]
    lines += [
        f"| {case} | {row['ready_s']:.2f} | {row['rss_mib']:.0f} | {row['bare_mib']:.0f} |"
        for case, row in results["startup"].items()
    ]
    memory = results["memory"]
    slope_ = f"{memory['slope_mib_per_100k']:+.2f} MiB per 100,000"
    lines += [
        "",
        f"Over {memory['requests']:,} requests resident memory went from {memory['first_mib']:.1f} MiB",
        f"to {memory['last_mib']:.1f} MiB; slope of the second half {slope_}.",
    ]
    return "\n".join(lines) + "\n"


#: The row that `tests.bench.plain` gives.
PLAIN = "plain fp32 ceiling"
TITLES = {
    "W1": "W1: one JPEG 500x375 per call, EfficientNet-Lite0",
    "W2": "W2: one PNG 28x28 per call, digits",
}


def _workload(found: Results) -> list[str]:
    lines = [
        f"## {TITLES[found['name']]}",
        "",
        f"Chosen by the tuner: {found['setting']}.",
        "",
        "| | pictures/s | of the ceiling | p50, ms | p99, ms | p99/p50 | failed |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    ceiling = found["rows"]["ceiling"]["per_second"]
    for name, row in found["rows"].items():
        served = (
            f"{row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {row['p99_ms'] / row['p50_ms']:.2f} | {row['failed']}"
            if "p50_ms" in row
            else "| | |"
        )
        lines.append(f"| {name} | {row['per_second']:,.0f} | {row['per_second'] / ceiling:.2f} | {served} |")
    return lines + (_beside_plain(found["rows"]) if PLAIN in found["rows"] else [])


def _beside_plain(rows: Results) -> list[str]:
    plain = rows[PLAIN]["per_second"]
    served = ", ".join(f"{rows[name]['per_second'] / plain:.2f} ({name})" for name in rows if "p50_ms" in rows[name])
    return [
        "",
        "The plain fp32 ceiling is what a server without Vitrine's shortcuts reaches at most",
        "(tests/bench/peers/plain_model.py).",
        f"Times that: {served}.",
    ]


def plot(results: Results, path: Path) -> None:
    """Bars of pictures per second, one panel for each workload."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - the backend is chosen first

    figure, panels = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for panel, name in zip(panels, ("W1", "W2"), strict=True):
        # An empty handler is the wire's limit, and would push those that compute to the edge.
        rows = {row: found for row, found in results[name]["rows"].items() if not row.startswith("empty")}
        rates = [row["per_second"] for row in rows.values()]
        colours = ["#0072b2" if "p50_ms" in row else "#bbbbbb" for row in rows.values()]
        bars = panel.barh(list(rows), rates, color=colours)
        panel.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=3)
        panel.set_title(TITLES[name], fontsize=10, loc="left")
        panel.set_xlabel("pictures per second (blue: through the server)")
        panel.invert_yaxis()
        panel.margins(x=0.15)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
