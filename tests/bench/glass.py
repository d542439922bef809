"""What looking in costs: `python -m tests.bench.glass` writes docs/bench-glass.md.

In process, in CPU time of the one thread that works: statistics of all layers and one layer as bytes beside a plain
inference, and the first call. Against a real server: how classification's p99 moves while full dumps are taken, one
after another, and what memory that needs. `--model` and `--part` measure less at a time; the rest of the page stays.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from service.client import Encoding, Kernels, Kind, MapsRequest, Picture, Selector
from service.core.image import Limits, decode
from service.core.messages import ModelKey
from service.core.tuning import Setting, Tuning
from service.engine.session import OnnxEngine, open_sessions
from service.engine.store import ModelStore
from service.engine.taps import TapSessions, TapSource
from service.introspect.introspector import Budget, Introspector
from service.introspect.pictures import PictureStore
from service.introspect.tapping import Subject
from tests.bench import pictures, report
from tests.bench.dumps import dumping
from tests.bench.load import Load, Run, median
from tests.bench.serving import drive, serve

PHOTOS, ZOO = Path("runs/models"), Path("model/zoo")
#: What was measured of each part, so that one can be measured again.
RESULTS = Path("runs/bench-glass.json")
TUNING = Tuning(Setting("cpu", "fp32", 1, 1, 1), ())
MODELS = {"efficientnet-lite0": PHOTOS, "digits": ZOO}
ONE_LAYER = {"efficientnet-lite0": "_blocks.5._expand_conv", "digits": "block"}
PARTS = ("costs", "alone", "busy")
#: Requests kept open beside the dumps: one caller that leaves cores free, and so many that none are.
OPEN = {"alone": 1, "busy": 4}

Found = dict[str, Any]


def costs(models: Path, name: str, picture: bytes, repeats: int) -> Found:
    """Milliseconds of CPU time of one process and one thread, each the least of several runs; of a first call, once."""
    stored = ModelStore(models).open(ModelKey(name, 1))
    engine = OnnxEngine(stored.spec, stored.digest, TUNING, open_sessions(stored.model, TUNING), ())
    source = TapSource(stored.digest, TUNING.chosen, lambda: stored.model)
    subject = Subject(ModelKey(name, 1), engine, source)
    inside = Introspector(
        lambda _name, _version: subject,
        TapSessions(1 << 27),
        pictures=PictureStore(1 << 26, 600, time.monotonic),
        limits=Limits(),
        budget=Budget(),
    )
    fresh = MapsRequest(name, 0, (Picture(picture, keep=False),))
    kept = replace(fresh, pictures=(Picture(id=inside.keep(picture)),))
    one_layer = {"layers": Selector((ONE_LAYER[name],)), "encoding": Encoding(Kind.UINT8)}

    def ask(request: MapsRequest, **changes: Any) -> Callable[[], object]:
        return lambda: list(inside.maps(replace(request, **changes)))

    def decoded() -> NDArray[np.uint8]:
        return decode(picture, stored.spec, Limits())[np.newaxis]

    pixels = decoded()

    started = time.perf_counter()
    ask(fresh, **one_layer)()
    first_ms = (time.perf_counter() - started) * 1000
    works = {
        "plain": lambda: engine.run(decoded()),
        "network": lambda: engine.run(pixels),
        **{
            f"{kernels.value}, {which}": ask(request, kernels=kernels)
            for kernels, (which, request) in product(Kernels, {"new": fresh, "kept": kept}.items())
        },
        "one layer, new": ask(fresh, **one_layer),
        "one layer, kept": ask(kept, **one_layer),
    }
    return {**_least(works, repeats), "first": first_ms}


def _least(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Milliseconds of this thread for each; once more before, unmeasured, so that sessions are there.

    In turns, so that what else this host does meets all of them.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(1 + repeats):
        for name, work in works.items():
            started = time.thread_time()
            work()
            taken[name].append((time.thread_time() - started) * 1000)
    return {name: min(times[1:]) for name, times in taken.items()}


def beside(models: Path, name: str, picture: Path, *, open_requests: int, seconds: float, rounds: int) -> Found:
    """Classify, in turns without and with a steady dump of the whole model in uint8; memory in MiB."""
    without: list[Run] = []
    with_: list[Run] = []
    with serve(models, introspection_per_minute="1000000") as served:
        load = Load(served.grpc, name, str(picture), open_requests, seconds)
        drive(load)
        rss_alone, peak, dumps = served.rss_mib(), 0.0, 0
        for turn in range(2 * rounds):
            if turn % 2 == 0:
                without.append(drive(load))
                continue
            with dumping(served.grpc, name, picture) as taken:
                with_.append(drive(load))
                peak = max(peak, served.rss_mib())
            dumps += len(taken)
    return {
        "without": asdict(median(without)),
        "with": asdict(median(with_)),
        "rss_alone": rss_alone,
        "rss_peak": peak,
        "dumps_per_s": dumps / seconds / rounds,
    }


def markdown(found: Mapping[str, Found]) -> str:
    """The page."""
    host = next(iter(found.values()))["host"]
    return "\n".join([
        "# What looking in costs",
        "",
        f"`python -m tests.bench.glass`, {host['date']}: {host['cpu']}, {host['cores']} cores, ONNX Runtime",
        f"{host['onnxruntime']}, load average {os.getloadavg()[1]:.1f} at the end. Where that is far above the",
        "number of cores, others worked here, too, and rates and latencies say little; CPU times still do. Why it",
        "costs that, and what was tried: decision 15.",
        "",
        "## Statistics",
        "",
        "CPU time of one thread, fp32 on ONNX Runtime's CPU provider, everything loaded; in brackets relative to one",
        "plain inference, which is decoding the picture and running the network. *New* is the first question about a",
        "picture, which includes that plain inference; *kept* is every further one, by the picture's id. Unfused",
        "kernels show every module call, and are what statistics come from when a request says nothing; as served,",
        "layers that are folded into others are left out; reference kernels do without the layouts that make serving",
        "fast. The aim is 3x.",
        "",
        *_statistics_table(found),
        "",
        "## One layer, and the first call",
        "",
        f"One layer ({', '.join(f'`{layer}` of {name}' for name, layer in ONE_LAYER.items())}) in uint8, with",
        "reference kernels. The first call also reads the file and builds the session, by the clock.",
        "",
        *_one_layer_table(found),
        "",
        "## Classification beside dumps",
        "",
        "Latency and rate of a real server without and with full-model uint8 dumps, one after another, in turns. With",
        "1 request open, there are idle cores; with 4, there are none. Both clients run on the same cores, the one",
        "that takes the dumps behind everything else. A dump that the end of a turn cuts short is not counted. How",
        "they give way: decision 19.",
        "",
        *_beside_table(found),
        "",
    ])  # fmt: skip


def _statistics_table(found: Mapping[str, Found]) -> Iterable[str]:
    columns = [f"{kernels.value}, {which}" for kernels in Kernels for which in ("new", "kept")]
    yield f"| model | plain inference | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 2) + "|"
    for name, parts in found.items():
        cost = parts["costs"]
        cells = [_relative(cost, column) for column in columns]
        yield f"| {name} | {cost['plain']:.2f} ms (network {cost['network']:.2f}) | {' | '.join(cells)} |"


def _one_layer_table(found: Mapping[str, Found]) -> Iterable[str]:
    yield "| model | new | kept | first call |"
    yield "|---|---|---|---|"
    for name, parts in found.items():
        cost = parts["costs"]
        one = [_relative(cost, column) for column in ("one layer, new", "one layer, kept")]
        yield f"| {name} | {' | '.join(one)} | {cost['first']:.0f} ms |"


def _relative(cost: Found, column: str) -> str:
    return f"{cost[column]:.2f} ms ({cost[column] / cost['plain']:.1f}x)"


def _beside_table(found: Mapping[str, Found]) -> Iterable[str]:
    yield "| model | open | p50 / p99 without | p50 / p99 with | images/s without / with | dumps/s | RSS, at peak |"
    yield "|---|---|---|---|---|---|---|"
    for name, parts in found.items():
        for part, requests in OPEN.items():
            side = parts[part]
            alone, other = Run(**side["without"]), Run(**side["with"])
            yield (
                f"| {name} | {requests} | {alone.p50_ms:.1f} / {alone.p99_ms:.1f} ms "
                f"| {other.p50_ms:.1f} / {other.p99_ms:.1f} ms | {alone.per_second:.0f} / {other.per_second:.0f} "
                f"| {side['dumps_per_s']:.2f} | {side['rss_alone']:.0f} / {side['rss_peak']:.0f} MiB |"
            )


def measure(name: str, part: str, *, quick: bool) -> Found:
    """One part of the page for one model."""
    seconds, rounds, repeats = (2.0, 1, 3) if quick else (4.0, 4, 20)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        picture = pictures.digit(folder, ZOO) if name == "digits" else pictures.photograph(folder)
        if part == "costs":
            return costs(MODELS[name], name, picture.read_bytes(), repeats)
        return beside(MODELS[name], name, picture, open_requests=OPEN[part], seconds=seconds, rounds=rounds)


def main(
    *,
    model: Annotated[list[str] | None, typer.Option(help="only these")] = None,
    part: Annotated[list[str] | None, typer.Option(help=f"only these of {', '.join(PARTS)}")] = None,
    quick: Annotated[bool, typer.Option("--quick")] = False,
    out: Path = Path("docs/bench-glass.md"),
) -> None:
    """Measure, and write the page once all of it is known."""
    pictures.publish_photos(PHOTOS)
    found: dict[str, Found] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, each in product(model or MODELS, part or PARTS):
        known = found.setdefault(name, {})
        known[each] = measure(name, each, quick=quick)
        known["host"] = report.host()
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    missing = [f"{name} {each}" for name, each in product(MODELS, PARTS) if each not in found.get(name, {})]
    if missing:
        print(f"still to be measured: {', '.join(missing)}")
        return
    page = markdown({name: found[name] for name in MODELS})
    out.write_text(page)
    print(page)


if __name__ == "__main__":
    typer.run(main)
