"""`vitrine-model describe`: every layer's window, sizes with their formula, parameters, MACs and receptive field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from model.geometry import Field, LayerGeometry, Shape, Sides, Size
from model.recipe import Recipe


def table(recipe: Recipe) -> Table:
    """The table of a recipe's network."""
    head = f"{recipe.name}: {_by((recipe.input.channels, recipe.input.height, recipe.input.width))} input"
    return layers_table(recipe.geometry(), f"{head}, {recipe.head.type} over {len(recipe.head.labels)} labels")


def layers_table(rows: Sequence[LayerGeometry], title: str) -> Table:
    """The table of any sequence of layers, e.g. those read from a published file; totals in the last row.

    Padding is top, left, bottom, right. A field "5x5 /2 @-2" spans 5x5 input pixels, moves by 2 from unit to unit,
    and starts at pixel -2 (in the padding) for the first unit.
    """
    result = Table(title=title, title_justify="left", show_footer=True)
    result.add_column("layer", footer="total", overflow="fold")
    result.add_column("type")
    for heading in ("kernel", "stride", "padding"):
        result.add_column(heading, justify="right")
    result.add_column("output", justify="right", footer=_by(rows[-1].target.shape) if rows else "")
    result.add_column("size formula", overflow="fold")
    result.add_column("parameters", justify="right", footer=f"{parameters(rows):,}")
    result.add_column("MACs", justify="right", footer=f"{macs(rows):,}")
    result.add_column("receptive field", overflow="fold", footer=_field(rows[-1].target.field) if rows else "")
    for row in rows:
        result.add_row(*_cells(row))
    return result


def parameters(rows: Iterable[LayerGeometry]) -> int:
    """Trained numbers in all; the running statistics of batch norms do not count."""
    return sum(row.parameters for row in rows)


def macs(rows: Iterable[LayerGeometry]) -> int:
    """Multiply-accumulates for one image in all."""
    return sum(row.macs for row in rows)


def _cells(row: LayerGeometry) -> tuple[str, ...]:
    window = row.window
    kind = row.type if row.groups == 1 else f"{row.type} (groups {row.groups})"
    dilated = "" if window is None or window.dilation == (1, 1) else f" dilation {_by(window.dilation)}"
    return (
        row.path,
        kind,
        "" if window is None else _by(window.kernel) + dilated,
        "" if window is None else _by(window.stride),
        "" if window is None else _padding(window.padding),
        _by(row.target.shape),
        "\n".join(row.formulas),
        f"{row.parameters:,}" if row.parameters else "",
        f"{row.macs:,}" if row.macs else "",
        _field(row.target.field),
    )


def _by(numbers: Shape | Size) -> str:
    return "x".join(map(str, numbers))


def _padding(sides: Sides) -> str:
    return str(sides[0]) if len(set(sides)) == 1 else ",".join(map(str, sides))


def _field(field: Field) -> str:
    jump = str(field.jump[0]) if field.jump[0] == field.jump[1] else _by(field.jump)
    start = str(field.start[0]) if field.start[0] == field.start[1] else f"{field.start[0]},{field.start[1]}"
    return f"{_by(field.size)} /{jump} @{start}"
