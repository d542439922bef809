"""`vitrine-model describe`: every layer's window, sizes with their formula, parameters, MACs and receptive field."""

from __future__ import annotations

from rich.table import Table

from model import layer_table
from model.geometry import LayerGeometry
from model.layer_table import Line
from model.recipe import Recipe


def table(recipe: Recipe) -> Table:
    """The table of a recipe's network."""
    size = f"{recipe.input.channels}x{recipe.input.height}x{recipe.input.width}"
    title = f"{recipe.name}: {size} input, {recipe.head.type} over {len(recipe.head.labels)} labels"
    return layer_table.table([_line(row) for row in recipe.geometry()], title)


def _line(row: LayerGeometry) -> Line:
    return Line(
        layer=row.path,
        kind=row.type,
        shape=row.target.shape,
        window=row.window,
        groups=row.groups,
        formulas=row.formulas,
        parameters=row.parameters,
        macs=row.macs,
        field=row.target.field,
    )
