"""`make bench`: speed beside its own ceiling, memory and start-up; writes docs/bench.{json,md,png}.

Everything compared is measured in one run, in interleaved rounds; medians are quoted. `--quick` is for trying it out.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from service.engine.loading import EnginePolicy
from service.engine.store import ModelStore
from tests.bench import pictures, report
from tests.bench.bare import bare
from tests.bench.ceiling import ceiling, newest, open_engine
from tests.bench.load import Load, Method, Run, median
from tests.bench.peers.plain_model import PlainModel
from tests.bench.plain import plain_ceiling, write_plain
from tests.bench.serving import drive, serve

PHOTOS, ZOO = Path("runs/models"), Path("model/zoo")

Measure = Callable[[], float]
console = Console()


@dataclass(frozen=True, slots=True)
class Effort:
    """How long each slice lasts, how many rounds there are, and how many requests the memory run sends."""

    seconds: float = 3.0
    rounds: int = 7
    memory_requests: int = 200_000


def interleaved(measures: dict[str, Measure], rounds: int) -> dict[str, float]:
    """The median of each measure over rounds in which all of them take turns."""
    seen: dict[str, list[float]] = {name: [] for name in measures}
    for round_ in range(rounds):
        for name, measure in measures.items():
            seen[name].append(measure())
            console.print(f"round {round_ + 1}: {name}: {seen[name][-1]:.1f}")
    return {name: statistics.median(values) for name, values in seen.items()}


class Latencies:
    """Keeps the latencies of the runs that a rate came from."""

    def __init__(self) -> None:
        self.runs: dict[str, list[Run]] = {}

    def rate(self, name: str, load: Load) -> Measure:
        """A measure of the load's pictures per second."""

        def measure() -> float:
            run = drive(load)
            self.runs.setdefault(name, []).append(run)
            return run.per_second

        return measure

    def median(self, name: str) -> Run:
        """The median of each number over the rounds; failures are summed."""
        return median(self.runs[name])


def w1(effort: Effort, folder: Path) -> dict[str, Any]:
    """One JPEG of 500x375 for each unary call, EfficientNet-Lite0, beside bare threads and an empty server."""
    picture = pictures.photograph(folder)
    own = open_engine(PHOTOS, "efficientnet-lite0", EnginePolicy())
    plain = PlainModel(write_plain(PHOTOS, "efficientnet-lite0", folder))
    latencies = Latencies()
    with (
        serve(PHOTOS) as served,
        serve(PHOTOS, precision="exact") as exact,
        bare(PHOTOS, "efficientnet-lite0") as (echo, _),
    ):
        load_ = Load(served.grpc, "efficientnet-lite0", str(picture), 1, effort.seconds)
        measures: dict[str, Measure] = {
            "ceiling": lambda: ceiling(own, picture.read_bytes(), effort.seconds),
            report.PLAIN: lambda: plain_ceiling(plain, picture.read_bytes(), effort.seconds),
            "empty handler, 32 open": lambda: drive(replace(load_, server=echo, concurrency=32)).per_second,
        }
        for concurrency in (1, 8, 32):
            name = f"unary, {concurrency} open"
            measures[name] = latencies.rate(name, replace(load_, concurrency=concurrency))
        name = "unary, fp32 only, 32 open"
        measures[name] = latencies.rate(name, replace(load_, server=exact.grpc, concurrency=32))
        rates = interleaved(measures, effort.rounds)
    return report.workload("W1", own.tuning, rates, latencies.runs.keys(), latencies.median)


def w2(effort: Effort, folder: Path) -> dict[str, Any]:
    """One 28x28 PNG for each call, `digits`: unary, stream and batches of 64, beside a bare server and bare threads."""
    picture = pictures.digit(folder, ZOO)
    own = open_engine(ZOO, "digits", EnginePolicy())
    latencies = Latencies()
    methods: list[tuple[Method, int]] = [("unary", 1), ("unary", 8), ("unary", 32), ("stream", 64), ("batch", 4)]
    with serve(ZOO) as served, bare(ZOO, "digits") as (echo, inline):
        load_ = Load(served.grpc, "digits", str(picture), 32, effort.seconds)
        measures: dict[str, Measure] = {
            "ceiling": lambda: ceiling(own, picture.read_bytes(), effort.seconds),
            "empty handler, 32 open": lambda: drive(replace(load_, server=echo)).per_second,
            "handler that computes, 32 open": lambda: drive(replace(load_, server=inline)).per_second,
        }
        for method, concurrency in methods:
            name = f"{method}, {concurrency} open"
            measures[name] = latencies.rate(name, replace(load_, method=method, concurrency=concurrency))
        rates = interleaved(measures, effort.rounds)
    return report.workload("W2", own.tuning, rates, latencies.runs.keys(), latencies.median)


def memory(effort: Effort, folder: Path) -> dict[str, Any]:
    """Resident memory while many requests pass, and its slope over the second half."""
    picture = pictures.digit(folder, ZOO)
    readings: list[tuple[int, float]] = []
    with serve(ZOO) as served:
        load_ = Load(served.grpc, "digits", str(picture), 32, effort.seconds)
        sent = 0
        while sent < effort.memory_requests:
            sent += int(drive(load_).per_second * (load_.seconds + load_.warm_s))
            readings.append((sent, served.rss_mib()))
            console.print(f"memory: {sent} requests, {readings[-1][1]:.1f} MiB")
    return report.slope(readings)


def startup() -> dict[str, Any]:
    """Seconds from exec to ready with the tuning remembered, and resident memory then; one model at a time."""
    cases = {"digits": ZOO, "efficientnet-lite0": PHOTOS}
    found: dict[str, Any] = {}
    for model, models in cases.items():
        for providers in ("cpu", "auto"):
            with tempfile.TemporaryDirectory() as only:
                (Path(only) / model).symlink_to((models / model).resolve())
                with serve(Path(only), providers=providers):
                    pass  # the tuning is remembered from here on
                with serve(Path(only), providers=providers) as served:
                    drive(Load(served.grpc, model, str(_any_picture(Path(only), model)), 8, seconds=2.0))
                    found[f"{model}, {providers}"] = {
                        "ready_s": served.ready_s,
                        "rss_mib": served.rss_mib(),
                        "bare_mib": _bare_mib(Path(only), model, providers),
                    }
                    console.print(f"start-up: {model}, {providers}: {found[f'{model}, {providers}']}")
    return found


def _bare_mib(models: Path, model: str, providers: str) -> float:
    """Resident memory of ONNX Runtime alone with the same file and the provider that is chosen for it."""
    chosen = open_engine(models, model, EnginePolicy("auto" if providers == "auto" else (providers,))).tuning.chosen
    file = ModelStore(models).open(newest(models, model)).folder / "model.onnx"
    command = [sys.executable, "-m", "tests.bench.bare_engine", str(file), chosen.provider, chosen.precision]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _any_picture(folder: Path, model: str) -> Path:
    return pictures.digit(folder, ZOO) if model == "digits" else pictures.photograph(folder)


def main(
    *,
    quick: Annotated[bool, typer.Option("--quick")] = False,
    only: report.Only = None,
    out: Path = Path("docs"),
) -> None:
    """Measure everything and write the report."""
    effort = Effort(seconds=1.0, rounds=1, memory_requests=5_000) if quick else Effort()
    pictures.publish_photos(PHOTOS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "host": report.host,
            "W1": lambda: w1(effort, folder),
            "W2": lambda: w2(effort, folder),
            "startup": startup,
            "memory": lambda: memory(effort, folder),
        }
        results = report.measured(parts, out / "bench.json", only)
    if results is None:
        return
    (out / "bench.md").write_text(report.markdown(results))
    report.plot(results, out / "bench.png")
    console.print(report.markdown(results))


if __name__ == "__main__":
    typer.run(main)
