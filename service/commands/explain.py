"""`vitrine explain`: the arithmetic of a unit, as a person would write it down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from rich.console import RenderableType
from rich.table import Table

from service.commands import asking, facts, terminal
from service.core import units
from service.core.errors import InvalidInput
from service.core.introspection import Picture, UnitAnswer
from service.core.units import Place


@dataclass(frozen=True, slots=True)
class Job:
    """Which units of which layer; `top` bounds the terms that are shown of a sum."""

    server: str
    model: str
    version: int
    layer: str
    places: Sequence[str]
    image: Path
    top: int


def run(job: Job) -> None:
    """Ask and print. Raises `ServiceError`, or `OSError` for the picture."""
    console = terminal.page()
    places = [_place(text) for text in job.places]
    picture = Picture(job.image.read_bytes())
    with asking.client(job.server) as client:
        for place in places:
            answer = client.explain(job.layer, place, picture, model=job.model, version=job.version)
            for part in written(answer, job.top):
                console.print(part)


def _place(text: str) -> Place:
    parts = text.split(",")
    if not 1 <= len(parts) <= 3 or not all(part.strip().isdigit() for part in parts):
        raise InvalidInput("at", "CHANNEL,Y,X or CHANNEL", repr(text))
    channel, y, x = (*(int(part) for part in parts), 0, 0)[:3]
    return channel, y, x


def written(answer: UnitAnswer, top: int) -> list[RenderableType]:
    """The unit, its formula with its numbers, and how well it agrees with the network."""
    explained, layer = answer.explained, answer.layer
    channel, y, x = answer.place
    seen = "" if answer.field is None else _field(answer)
    return [
        f"{layer.id} [channel {channel}, y {y}, x {x}] = {_n(explained.value)}",
        f"{facts.sentence(facts.about(layer))}{seen}",
        *_kind(explained.unit, top),
        f"computed again in double precision: {_n(explained.computed)}, off by {explained.residual:.2g}\n",
    ]


def _field(answer: UnitAnswer) -> str:
    box = answer.field
    assert box is not None
    return f" · sees rows {box.y0} to {box.y1 - 1}, columns {box.x0} to {box.x1 - 1} of the picture"


def _kind(unit: units.Unit, top: int) -> list[RenderableType]:  # noqa: PLR0911 - one case per kind
    match unit:
        case units.ConvUnit():
            return _conv(unit, top)
        case units.DenseUnit():
            return [_dense(unit, top)]
        case units.PoolUnit():
            return _pool(unit)
        case units.ActivationUnit(name, formula, x):
            return [f"{name}: {formula}, x = {_n(x)}"]
        case units.NormUnit():
            return [_norm(unit)]
        case units.SoftmaxUnit():
            return [_softmax(unit, top)]
        case units.MergeUnit(op, terms):
            table = _table("from", "value", title=op)
            for name, value in terms:
                table.add_row(name, _n(value))
            return [table]


def _conv(unit: units.ConvUnit, top: int) -> list[RenderableType]:
    """Each input channel's patch and kernel, then the sums in the order of their weight."""
    patches = [_patch(patch) for patch in unit.patches[:top]]
    sums = _table("input channel", "sum of products", "total so far", title="the largest first")
    totals = list(accumulate(patch.sum for patch in unit.patches))
    for patch, total in list(zip(unit.patches, totals, strict=True))[:top]:
        sums.add_row(str(patch.channel), _n(patch.sum), _n(total))
    if len(unit.patches) > top:
        rest = len(unit.patches) - top
        sums.add_row(f"{rest} more", _n(totals[-1] - totals[top - 1]), _n(totals[-1]))
    sums.add_row("bias", _n(unit.bias), _n(totals[-1] + unit.bias))
    return [*patches, sums]


def _patch(patch: units.Patch) -> RenderableType:
    """Value x weight = product, in the places of the window; what lies in the padding is marked."""
    table = terminal.table(header=False, title=f"input channel {patch.channel}")
    for row in range(patch.values.shape[0]):
        table.add_row(*(_product(patch, row, column) for column in range(patch.values.shape[1])))
    return table


def _product(patch: units.Patch, row: int, column: int) -> str:
    at = row, column
    padding = " (padding)" if patch.is_padding[at] else ""
    return f"{_n(patch.values[at])} x {_n(patch.kernel[at])} = {_n(patch.products[at])}{padding}"


def _dense(unit: units.DenseUnit, top: int) -> Table:
    table = _table("input", "value", "weight", "product", "total so far", title="the largest first")
    products = (unit.inputs * unit.weights)[unit.order]
    totals = np.cumsum(products)
    for rank, index in enumerate(unit.order[:top]):
        numbers = (unit.inputs[index], unit.weights[index], products[rank], totals[rank])
        table.add_row(str(index), *(_n(value) for value in numbers))
    if len(totals) > top:
        table.add_row(f"{len(totals) - top} more", "", "", _n(totals[-1] - totals[top - 1]), _n(totals[-1]))
    table.add_row("bias", "", "", _n(unit.bias), _n(totals[-1] + unit.bias))
    return table


def _pool(unit: units.PoolUnit) -> list[RenderableType]:
    names = {"max": "the largest of", "average": f"the sum, divided by {_n(unit.divisor)}, of", "sum": "the sum of"}
    table = terminal.table(header=False)
    for row, values in enumerate(unit.values):
        table.add_row(*(_pooled(unit, row, column, value) for column, value in enumerate(values)))
    return [names[unit.kind], table]


def _pooled(unit: units.PoolUnit, row: int, column: int, value: float) -> str:
    won = " <-" if unit.winner == (row, column) else ""
    return "padding" if unit.is_padding[row, column] else f"{_n(value)}{won}"


def _norm(unit: units.NormUnit) -> str:
    scaled = f"({_n(unit.x)} - {_n(unit.mean)}) / sqrt({_n(unit.variance)} + {_n(unit.epsilon)})"
    return f"(x - mean) / sqrt(variance + epsilon) * scale + shift = {scaled} * {_n(unit.scale)} + {_n(unit.shift)}"


def _softmax(unit: units.SoftmaxUnit, top: int) -> Table:
    powers = np.exp(unit.x - unit.x.max())
    table = _table("", "input", "exp(input - largest)", "share", title="the largest first")
    for index in np.argsort(-unit.x, kind="stable")[:top]:
        mark = "<-" if index == unit.index else ""
        table.add_row(f"{index} {mark}", _n(unit.x[index]), _n(powers[index]), f"{powers[index] / powers.sum():.4%}")
    table.add_row("sum", "", _n(float(powers.sum())), "")
    return table


def _table(*columns: str, title: str) -> Table:
    table = terminal.table(*columns, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _n(value: float) -> str:
    return f"{value:.7g}"
