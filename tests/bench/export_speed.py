"""Whether the canonical graph costs anything when serving: it and the exporter's fully optimised one, side by side.

    python -m tests.bench.export_speed [RUN|RECIPE|photos] [--rounds N] [--out FILE]

Both come from the same weights and go through the same server settings (CPU fp32, one thread, batch 1 and 8), in
alternating order, so that a busy machine hurts both alike. Writes docs/bench-export.md. That ONNX Runtime
runs the same operations of both is a test (tests/model/test_export.py).
"""

from __future__ import annotations

import logging
import statistics
import time
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import numpy as np
import onnx
import onnx_ir as ir
import typer
from numpy.typing import NDArray
from onnxscript import rewriter
from torch import nn

from model import export, photos, runs
from service.core.spec import Spec
from service.core.tuning import Setting
from service.engine.session import infer, open_session
from tests.bench import report

PAGE = """# Bench: the canonical graph beside the fully optimised one

Measured by `make bench`. Every module keeps its own node in the canonical graph (decision 1). ONNX Runtime merges them
when it loads the file, so that it is to be as fast as one whose exporter merged them.

{date}: {cores} cores of {cpu}, ONNX Runtime {onnxruntime}, CPU provider, one thread; `{model}`, medians of {rounds}
alternating rounds.

| batch | canonical ({canonical} nodes), ms | fully optimised ({fully optimised} nodes), ms | ratio |
|--:|--:|--:|--:|
{rows}
"""
SETTING = Setting("cpu", "fp32", lanes=1, intra_op_threads=1, batch=8)


def main(
    source: Annotated[str, typer.Argument(help="a run, a recipe that holds its weights, or `photos`")] = "photos",
    rounds: int = 60,
    data: Path = Path("data"),
    out: Path = Path("docs/bench-export.md"),
) -> None:
    """Measure, print and write."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    net, spec, pixels = candidate(source, data)
    graphs = {"canonical": export.export(net, spec)[0], "fully optimised": optimised(net, spec)}
    nodes = {name: len(onnx.load_from_string(model).graph.node) for name, model in graphs.items()}
    times = {batch: measure(graphs, pixels[:batch], rounds) for batch in (1, 8)}
    text = markdown(spec.name, nodes, times, rounds)
    print(text)
    out.write_text(text)


def markdown(model: str, nodes: dict[str, int], times: dict[int, dict[str, float]], rounds: int) -> str:
    """The page docs/bench-export.md."""
    machine = report.host()
    rows = (
        f"| {batch} | {' | '.join(f'{seconds * 1e3:.3f}' for seconds in medians.values())} "
        f"| {medians['canonical'] / medians['fully optimised']:.3f} |"
        for batch, medians in times.items()
    )
    return PAGE.format(model=model, rounds=rounds, rows="\n".join(rows), **machine, **nodes)


def candidate(source: str, data_root: Path) -> tuple[nn.Module, Spec, NDArray[np.uint8]]:
    """The network with real pictures."""
    if source == "photos":
        spec = photos.spec()
        return photos.network(), spec, photos.samples(spec).real
    found = runs.load(Path(source), data_root)
    return found.net, found.spec, found.pictures.real


def optimised(net: nn.Module, spec: Spec) -> bytes:
    """The same export with every rule of the exporter's own optimiser, fusion of batch norm and padding included."""
    everything = ir.passes.Sequential(
        export.canonical_passes(), rewriter.RewritePass(rewriter._DEFAULT_REWRITE_RULES), export.canonical_passes()
    )
    with patch.object(export, "canonical_passes", return_value=everything):
        return export.export(net, spec)[0]


def measure(graphs: dict[str, bytes], pixels: NDArray[np.uint8], rounds: int) -> dict[str, float]:
    """Median seconds of one run, by graph."""
    sessions = {name: open_session(model, SETTING) for name, model in graphs.items()}
    times: dict[str, list[float]] = {name: [] for name in graphs}
    for round_ in range(rounds):
        for name in sorted(sessions, reverse=round_ % 2 == 1):
            began = time.perf_counter()
            infer(sessions[name], pixels)
            times[name].append(time.perf_counter() - began)
    # The first runs allocate and warm the caches.
    return {name: statistics.median(seconds[3:]) for name, seconds in times.items()}


if __name__ == "__main__":
    typer.run(main)
