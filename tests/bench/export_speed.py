"""Whether the canonical graph costs anything when serving: it and the exporter's fully optimised one, side by side.

    python tests/bench/export_speed.py RUN_OR_RECIPE|photos [--rounds N]

Both come from the same weights and go through the same server settings (CPU fp32, one thread, batch 1 and 8), in
alternating order, so that a busy machine hurts both alike. Prints the median time of each and their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnxscript import rewriter
from torch import nn

from model import export, photos, runs
from service.core.spec import Spec
from service.core.tuning import Setting
from service.engine.session import infer, open_session

SETTING = Setting("cpu", "fp32", lanes=1, intra_op_threads=1, batch=8)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a run, a recipe that holds its weights, or `photos`")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--data", type=Path, default=Path("data"))
    arguments = parser.parse_args()
    net, spec, pixels = candidate(arguments.source, arguments.data)
    graphs = {"canonical": export.export(net, spec)[0], "fully optimised": optimised(net, spec)}
    for name, model in graphs.items():
        print(f"{name}: {len(onnx.load_from_string(model).graph.node)} nodes")
    for batch in (1, 8):
        medians = measure(graphs, pixels[:batch], arguments.rounds)
        shown = ", ".join(f"{name} {seconds * 1e3:.3f} ms" for name, seconds in medians.items())
        ratio = medians["canonical"] / medians["fully optimised"]
        print(f"{spec.name}, batch {batch}: {shown}, ratio {ratio:.3f}")


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
    main()
