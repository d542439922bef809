"""`make peers`: one picture through other servers and through Vitrine, in turns; writes docs/bench-peers.{json,md}.

All of them run on this machine, one at a time and the client beside it. The others are built around the same plain
model (`plain_model`) with two worker processes, as their documentation shows; Vitrine is as `vitrine serve` starts.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from tests.bench import pictures, report
from tests.bench.load import Load, Run, median
from tests.bench.peers.load import Posts
from tests.bench.peers.peer import PEERS, Peer, running
from tests.bench.plain import write_plain
from tests.bench.serving import drive, driven, serve

_CONCURRENCIES = (1, 8, 32)
_CLIENT = "tests.bench.peers.load"


@dataclass(frozen=True, slots=True)
class Workload:
    """A model, where it is, and the picture that is sent again and again."""

    model: str
    models: Path
    picture: Path


def of_peer(peer: Peer, load: Workload, folder: Path, seconds: float) -> dict[int, Run]:
    """Runs of another server, by concurrency."""
    body, picture = folder / "body", load.picture.read_bytes()
    body.write_bytes(peer.encode(picture))
    with running(peer, folder, picture) as port:
        sent = Posts(port, peer.path, str(body), peer.content_type, 2, seconds=2.0)
        driven(_CLIENT, sent)  # each process has to warm up
        return {c: driven(_CLIENT, replace(sent, concurrency=c, seconds=seconds)) for c in _CONCURRENCIES}


def of_vitrine(load: Workload, precision: str, seconds: float) -> dict[int, Run]:
    """Vitrine's runs, by concurrency."""
    with serve(load.models, precision=precision) as served:
        sent = Load(served.grpc, load.model, str(load.picture), 2, seconds=2.0)
        drive(sent)
        return {c: drive(replace(sent, concurrency=c, seconds=seconds)) for c in _CONCURRENCIES}


def compared(load: Workload, rounds: int, seconds: float) -> dict[str, Any]:
    """Medians over rounds in which all servers take turns, by server and concurrency."""
    seen: dict[str, dict[int, list[Run]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_plain(load.models, load.model, Path(scratch))
        turns: dict[str, Callable[[], dict[int, Run]]] = {
            "Vitrine": partial(of_vitrine, load, "auto", seconds),
            "Vitrine, fp32 only": partial(of_vitrine, load, "exact", seconds),
        }
        turns |= {peer.name: partial(of_peer, peer, load, folder, seconds) for peer in PEERS}
        for round_ in range(rounds):
            for name, turn in turns.items():
                for concurrency, run in turn().items():
                    seen.setdefault(name, {}).setdefault(concurrency, []).append(run)
                    print(f"{load.model}, round {round_ + 1}: {name}, {concurrency} open: {run.per_second:.0f}/s")
    return {name: {str(c): asdict(median(runs)) for c, runs in found.items()} for name, found in seen.items()}


def markdown(results: dict[str, Any]) -> str:
    """The tables of docs/bench-peers.md."""
    machine = results["host"]
    lines = [
        "# Beside other servers",
        "",
        "Measured by `make peers`: one picture in a closed loop, the client on the same cores, one server at a time in",
        "turns; medians. The others run the same network in fp32 on ONNX Runtime's CPU provider behind the usual",
        "preprocessing (`tests/bench/peers/plain_model.py`) in two processes of a thread. They are sent raw bytes, or",
        "base64 in JSON where they take no bytes; of an answer their client looks at the status alone. Vitrine is as",
        "`vitrine serve` starts, and with `--precision exact`, asked by gRPC.",
        "",
        report.on(machine),
        f"{', '.join(f'{name} {number}' for name, number in results['versions'].items())}.",
    ]
    for name, title in (("W1", report.TITLES["W1"]), ("W2", report.TITLES["W2"])):
        opens = " | ".join(f"{c} open, /s | p99, ms" for c in _CONCURRENCIES)
        lines += ["", f"## {title}", "", f"| | {opens} | failed |", "|---|" + "--:|" * (2 * len(_CONCURRENCIES) + 1)]
        for server, found in results[name].items():
            cells = " | ".join(f"{run['per_second']:,.0f} | {run['p99_ms']:,.1f}" for run in found.values())
            lines.append(f"| {server} | {cells} | {sum(run['failed'] for run in found.values())} |")
    return "\n".join(lines) + "\n"


def _versions() -> dict[str, str]:
    found = {"onnxruntime (Vitrine)": version("onnxruntime-openvino")}
    for environment, names in (
        (".venv-peers", ("mosec", "ray", "litserve", "bentoml")),
        (".venv-mlserver", ("mlserver",)),
    ):
        code = f"from importlib.metadata import version; print(*map(version, {names!r}))"
        done = subprocess.run(
            [Path(environment) / "bin/python", "-c", code], check=True, stdout=subprocess.PIPE, text=True
        )
        found |= dict(zip(names, done.stdout.split(), strict=True))
    return found


def main(*, rounds: int = 3, seconds: float = 2.0, only: report.Only = None, out: Path = Path("docs")) -> None:
    """Measure all servers and write the report."""
    photos, zoo = Path("runs/models"), Path("model/zoo")
    pictures.publish_photos(photos)
    with tempfile.TemporaryDirectory() as scratch:
        w1 = Workload("efficientnet-lite0", photos, pictures.photograph(Path(scratch)))
        w2 = Workload("digits", zoo, pictures.digit(Path(scratch), zoo))
        parts: dict[str, Callable[[], Any]] = {
            "host": report.host,
            "versions": _versions,
            "W1": lambda: compared(w1, rounds, seconds),
            "W2": lambda: compared(w2, rounds, seconds),
        }
        results = report.measured(parts, out / "bench-peers.json", only)
    if results is not None:
        (out / "bench-peers.md").write_text(markdown(results))
        print(markdown(results))


if __name__ == "__main__":
    typer.run(main)
