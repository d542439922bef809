"""`vitrine models`: what is served, as a table for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from service.client import ModelInfo
from service.commands import asking, terminal
from service.core.tuning import Tuning


def show(server: str, *, tuning: bool) -> None:
    """Print the models of a server, and with `tuning` what was measured for each."""
    with asking.client(server) as client:
        infos = client.models()
    console = terminal.page()
    console.print(_overview(infos))
    for info in infos if tuning else ():
        if info.tuning:
            console.print(_measurements(f"{info.name}:{info.version}", info.tuning))


def _overview(infos: Iterable[ModelInfo]) -> Table:
    table = terminal.table("model", "state", "input", "labels", "load s", "digest", "runs on")
    for info in infos:
        table.add_row(
            f"{info.name}:{info.version}{' (latest)' if info.latest else ''}",
            info.state,
            "x".join(map(str, info.shape)) if info.shape else "",
            str(len(info.labels) or ""),
            f"{info.load_s:.2f}" if info.load_s else "",
            info.digest[:12],
            "; ".join(part for part in (_setting(info.tuning) if info.tuning else "", info.reason) if part),
        )
    return table


def _setting(tuning: Tuning) -> str:
    chosen = tuning.chosen
    return f"{chosen.label}, {chosen.lanes} lanes x {chosen.intra_op_threads}, batch {chosen.batch}"


#: Whether a setting is the chosen one, and whether it is that of a picture alone -> its mark.
MARKS = {(True, False): "*", (True, True): "*", (False, True): "alone"}


def _measurements(title: str, tuning: Tuning) -> Table:
    """Fastest first; what is used is marked, the others say what ruled them out."""
    source = "from the cache" if tuning.cached else "measured at load"
    table = terminal.table(
        "", "runs on", "lanes", "threads", "batch", "images/s", "p50 ms", "logit diff", "top-1", "ruled out",
        title=f"{title}, {source}"
    )  # fmt: skip
    for row in sorted(tuning.measurements, key=lambda row: -row.images_per_second):
        setting = row.setting
        table.add_row(
            MARKS.get((setting == tuning.chosen, setting == tuning.alone), ""),
            setting.label,
            str(setting.lanes),
            str(setting.intra_op_threads),
            str(setting.batch),
            f"{row.images_per_second:.0f}",
            f"{row.latency_ms:.2f}",
            f"{row.max_logit_difference:.4f}",
            f"{row.top1_agreement:.2%}",
            row.rejected,
        )
    return table
