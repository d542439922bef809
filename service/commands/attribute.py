"""`vitrine attribute`: where in a picture the evidence for a class is, as a painted PNG or as numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import RenderableType
from rich.table import Table

from service.client.introspection import Evidence, evidence_of
from service.commands import asking, terminal
from service.commands.progress import BAR, bar
from service.core.attribution import AttributionEvent, AttributionHeader, AttributionProgress, AttributionRequest
from service.core.errors import InvalidInput
from service.core.faithfulness import Faithfulness
from service.core.overlay import Overlay

FORMATS = (".png", ".npy")


def run(server: str, request: AttributionRequest, out: Path, timeout_s: float) -> None:
    """Ask, write the map, and say what it tells. Raises `ServiceError`, or `OSError` for files."""
    if out.suffix not in FORMATS:
        raise InvalidInput("out", f"a file that ends in {' or '.join(FORMATS)}", out)
    painted = replace(request, overlay=Overlay()) if out.suffix == ".png" else request
    with asking.client(server) as client:
        found = evidence_of(list(_watched(client.attribution(painted, timeout_s=timeout_s))))
    _write(found, out)
    console = terminal.page()
    for part in told(found):
        console.print(part)
    console.print(f"written: {out}")


def told(found: Evidence) -> Iterator[RenderableType]:
    """What was computed, the numbers of the map, and how far it can be trusted."""
    header, result = found.header, found.result
    picture = ", ".join(f"{each.label} {each.score:.1%}" for each in header.picture.predictions[:3])
    yield f"{header.key}: {picture}"
    yield _question(header)
    rows, columns = result.values.shape
    yield f"map of {rows} x {columns}, from {result.values.min():+.4g} to {result.values.max():+.4g}, in logits"
    if not math.isnan(result.bias):
        sum_ = f"{result.total:.7g} + bias {result.bias:.7g} = {result.total + result.bias:.7g}"
        name = "logit" if header.versus is None else "difference of the logits"
        yield f"its sum {sum_}; the {name} is {result.score:.7g}, off by {result.residual:.2g}"
    if result.faithfulness:
        yield _check(result.faithfulness)


def _question(header: AttributionHeader) -> str:
    where = f" at {header.layer.id}" if header.layer else ""
    why = f" ({header.reason})" if header.reason else ""
    return f"evidence for {' rather than '.join(header.labels)} by {header.method.value}{where}{why}"


def _check(found: Faithfulness) -> Table:
    table = terminal.table("", "insertion", "deletion", title="area under the class's score")
    table.add_row("this map", f"{found.map.insertion_area:.3f}", f"{found.map.deletion_area:.3f}")
    insertion = [each.insertion_area for each in found.controls]
    deletion = [each.deletion_area for each in found.controls]
    table.add_row(f"{len(insertion)} random maps", _range(insertion), _range(deletion))
    table.add_row("better is", "higher", "lower")
    return table


def _range(values: list[float]) -> str:
    return f"{min(values):.3f} to {max(values):.3f}"


def _write(found: Evidence, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npy":
        np.save(out, found.values, allow_pickle=False)
        return
    assert found.result.painted is not None  # it was asked for
    out.write_bytes(found.result.painted.png)


def _watched(events: Iterator[AttributionEvent]) -> Iterator[AttributionEvent]:
    """The events, with a bar of the runs on a terminal."""
    with bar(terminal.notes()) as shown:
        for event in events:
            match event:
                case AttributionHeader(runs=runs):
                    shown.update(BAR, total=runs)
                case AttributionProgress(done=done):
                    shown.update(BAR, completed=done)
            yield event
