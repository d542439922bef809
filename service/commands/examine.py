"""`vitrine diagnose`, `compare` and `profile`: what is wrong with a model, where versions part, where the time goes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from rich.table import Table

from service.client.examination import Comparison, Diagnosis, comparison_of, diagnosis_of
from service.commands import asking, facts, terminal
from service.commands.progress import BAR, bar
from service.core.comparison import LayerDifference
from service.core.diagnostics import (
    CompareRequest,
    ComparisonEvent,
    DiagnoseRequest,
    DiagnosisEvent,
    Examinee,
    LatencyProfile,
    ProfileRequest,
    Progress,
)
from service.core.health import DEAD_FROM, LayerHealth
from service.core.introspection import Picture

Event = TypeVar("Event", DiagnosisEvent, ComparisonEvent)

_SHOWN = 6  # channels named in a row
_BAR_WIDTH = 20


def diagnose(server: str, request: DiagnoseRequest, timeout_s: float) -> None:
    """Ask, and print a table of the layers. Raises `ServiceError`."""
    with asking.client(server) as client:
        found = diagnosis_of(list(_watched(client.diagnosis(request, timeout_s=timeout_s))))
    _show(health_table(found), *verdict(found))


def compare(server: str, request: CompareRequest, timeout_s: float) -> None:
    """Ask, and print a table of the differences. Raises `ServiceError`."""
    with asking.client(server) as client:
        found = comparison_of(list(_watched(client.comparison(request, timeout_s=timeout_s))))
    _show(difference_table(found), *conclusion(found))


def profile(server: str, request: ProfileRequest, timeout_s: float) -> None:
    """Ask, and print a table of the kernels. Raises `ServiceError`."""
    with asking.client(server) as client:
        found = client.profile(
            request.model, version=request.version, batch=request.batch, runs=request.runs, timeout_s=timeout_s
        )
    served = f"a whole batch takes {found.served_us:.0f} us as served"
    _show(latency_table(found), *([f"{found.note}; {served}"] if found.note else []))


def pictures(paths: Iterable[Path]) -> tuple[Picture, ...]:
    """The files' bytes; raises `OSError`."""
    return tuple(Picture(path.read_bytes()) for path in paths)


def health_table(found: Diagnosis) -> Table:
    """One row a layer: numbers, and what is wrong."""
    header = found.header
    source = "stored samples" if header.are_samples else "pictures"
    table = terminal.table(
        "layer", "class", "output", "mean", "std", "min", "max", "zeros", "at limit", "drift (KS)", "findings",
        title=f"{_name(header.model)} on {header.images} {source}"
    )  # fmt: skip
    for column in table.columns[3:10]:
        column.justify = "right"
    for health in found.layers.values():
        seen, layer = health.statistics, health.layer
        numbers = (f"{value:.4g}" for value in (seen.mean, seen.std, seen.min, seen.max))
        limit = "" if health.saturation is None else f"{health.saturation:.1%}"
        findings = "; ".join(_findings(health))
        table.add_row(
            layer.id, layer.class_name, facts.shape(layer), *numbers, f"{health.sparsity:.1%}", limit, _drift(health),
            findings, style="bold" if findings else "",
        )  # fmt: skip
    return table


def verdict(found: Diagnosis) -> Iterator[str]:
    """What a reader wants to know first, in sentences."""
    header, end = found.header, found.end
    if end.first_bad:
        weights = f"; {end.bad_weights} of its weights are NaN or infinite" if end.bad_weights else ""
        yield f"first bad layer: {end.first_bad} gave NaN or infinities from finite inputs{weights}"
    else:
        yield "no NaN and no infinities"
    if not header.profile_images:
        yield "no profile is stored with this version, so nothing is said about drift: vitrine-model profile adds one"
    elif any(health.drift and not health.drift.enough for health in found.layers.values()):
        yield f"drift: {header.images} images against {header.profile_images} are too few to conclude anything"
    yield f"computed in {end.compute_s:.1f} s"


def difference_table(found: Comparison) -> Table:
    """One row a layer."""
    header = found.header
    table = terminal.table(
        "layer", "output", "SQNR dB", "lost dB", "max abs", "relative", "cosine", "CKA", "worst channels (dB)", "",
        title=f"{_name(header.first)} against {_name(header.other)} on {header.images} pictures"
    )  # fmt: skip
    for column in table.columns[2:8]:
        column.justify = "right"
    for id_, each in found.layers.items():
        marks = [name for name, layer in _marked(found) if layer == id_]
        worst = ", ".join(f"{channel} ({ratio:.1f})" for channel, ratio in each.worst[:3] if math.isfinite(ratio))
        table.add_row(
            id_, _shapes(each), f"{each.sqnr_db:.1f}", _signed(found.end.drops.get(id_)), f"{each.max_abs:.3g}",
            f"{each.relative:.2e}", f"{each.cosine:.6f}", f"{each.cka:.4f}", worst, ", ".join(marks),
            style="bold" if marks else "",
        )  # fmt: skip
    return table


def conclusion(found: Comparison) -> Iterator[str]:
    """Where the two part, and whether it matters."""
    header, end = found.header, found.end
    if end.first_diverging:
        yield f"first diverging layer: {end.first_diverging} (below {header.threshold_db:g} dB)"
    else:
        yield f"no layer diverges: all are above {header.threshold_db:g} dB"
    alike = f"same best class on {end.agreement:.2%} of the pictures"
    yield f"{alike}; logits differ by at most {end.max_logit_difference:.3g}"
    for name, missing in ((header.first, header.only_first), (header.other, header.only_other)):
        if missing:
            yield f"only in {_name(name)}: {', '.join(missing)}"


def latency_table(found: LatencyProfile) -> Table:
    """One row a kernel: its layers, its time, its share as a bar."""
    kernels_us = sum(group.kernel.mean_us for group in found.groups)
    table = terminal.table(
        "layers", "kernel", "us", "share", "",
        title=(
            f"{_name(found.model)} on {found.measured.label}, batch {found.batch}, {found.runs} runs: "
            f"{found.run_us:.0f} us a batch"
        )
    )  # fmt: skip
    table.columns[2].justify = table.columns[3].justify = "right"
    longest = max((group.kernel.mean_us for group in found.groups), default=1.0)
    for group in found.groups:
        time_us = group.kernel.mean_us
        filled = "█" * round(_BAR_WIDTH * time_us / longest) if longest else ""
        names = " + ".join(group.layers) or "(layout or input)"
        table.add_row(names, group.kernel.op, f"{time_us:.1f}", f"{time_us / kernels_us:.1%}", filled)
    table.add_section()
    table.add_row("between kernels", "", f"{found.run_us - kernels_us:.1f}", "", "")
    return table


def _show(table: Table, *sentences: str) -> None:
    page = terminal.page()
    for part in (table, *sentences):
        page.print(part)


def _watched(events: Iterator[Event]) -> Iterator[Event]:
    """The events but for those that only move the bar."""
    with bar(terminal.notes()) as shown:
        for event in events:
            if isinstance(event, Progress):
                shown.update(BAR, completed=event.done, total=event.total)
            else:
                yield event


def _name(model: Examinee) -> str:
    return f"{model.key} {model.variant}"


def _findings(health: LayerHealth) -> Iterator[str]:
    seen = health.statistics
    for number, name in ((seen.nans, "NaN"), (seen.positive_infinities, "+Inf"), (seen.negative_infinities, "-Inf")):
        if number:
            yield f"{number:,} {name}"
    word = "dead" if health.images >= DEAD_FROM else "silent"
    for name, channels in ((word, health.silent), ("constant", health.constant), ("saturated", health.saturated)):
        if channels:
            yield f"{len(channels)} {name}: {_some(channels)}"
    if health.drift and health.drift.channels:
        yield f"{health.drift.channels} drifted: {_some([each.channel for each in health.drift.worst])}"


def _some(channels: Sequence[int]) -> str:
    shown = ", ".join(str(channel) for channel in channels[:_SHOWN])
    return f"{shown}, ..." if len(channels) > _SHOWN else shown


def _drift(health: LayerHealth) -> str:
    return f"{health.drift.worst[0].ks:.2f}" if health.drift and health.drift.worst else ""


def _marked(found: Comparison) -> tuple[tuple[str, str], ...]:
    return (("first diverging", found.end.first_diverging), ("largest loss", found.end.largest_drop))


def _shapes(each: LayerDifference) -> str:
    one, other = ("x".join(map(str, shape)) for shape in (each.shape, each.other_shape))
    return one if one == other else f"{one} / {other}"


def _signed(drop_db: float | None) -> str:
    return "" if drop_db is None else f"{drop_db:+.1f}"
