"""The table of a network's layers, for people: of a recipe, or of a published file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from service.core.geometry import Field, Sides, Window

_COLUMNS = (
    *("layer", "type", "kernel", "stride", "padding", "output"),
    *("size formula", "parameters", "MACs", "receptive field"),
)
_NUMBERS = frozenset({"kernel", "stride", "padding", "output", "parameters", "MACs"})


@dataclass(frozen=True, slots=True)
class Line:
    """One layer. `shape` is its output's, without the batch; a `block` holds what its layers' lines count already."""

    layer: str
    kind: str
    shape: tuple[int, ...]
    window: Window | None
    groups: int
    formulas: tuple[str, ...]
    parameters: int
    macs: int
    field: Field | None
    block: bool = False


def table(lines: Sequence[Line], title: str) -> Table:
    """One row per layer, totals in the last; blocks are dim.

    Padding is top, left, bottom, right. A field "5x5 /2 @-2" spans 5x5 input pixels, moves by 2 from unit to unit
    (by 0 where every unit sees the same), and starts at pixel -2 (in the padding) for the first unit.
    """
    leaves = [line for line in lines if not line.block]
    result = Table(title=title, title_justify="left", show_footer=True)
    footers = {
        "layer": "total",
        "output": _by(lines[-1].shape) if lines else "",
        "parameters": f"{sum(line.parameters for line in leaves):,}",
        "MACs": f"{sum(line.macs for line in leaves):,}",
        "receptive field": _field(lines[-1].field) if lines else "",
    }
    for heading in _COLUMNS:
        right = heading in _NUMBERS
        # Folded where a terminal is narrow: a number with an ellipsis in it would be none.
        result.add_column(heading, footers.get(heading, ""), justify="right" if right else "left", overflow="fold")
    for line in lines:
        result.add_row(*_cells(line), style="dim" if line.block else "")
    return result


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.layer,
        line.kind if line.groups == 1 else f"{line.kind} (groups {line.groups})",
        *(_window(line.window) if line.window else ("", "", "")),
        _by(line.shape),
        "\n".join(line.formulas),
        f"{line.parameters:,}" if line.parameters else "",
        f"{line.macs:,}" if line.macs else "",
        _field(line.field),
    )


def _window(window: Window) -> tuple[str, str, str]:
    dilated = "" if window.dilation == (1, 1) else f" dilation {_by(window.dilation)}"
    return (_by(window.kernel) + dilated, _by(window.stride), _padding(window.padding))


def _padding(sides: Sides) -> str:
    return str(sides[0]) if len(set(sides)) == 1 else ",".join(map(str, sides))


def _field(field: Field | None) -> str:
    if field is None:
        return ""
    jump = str(field.jump[0]) if field.jump[0] == field.jump[1] else _by(field.jump)
    start = str(field.start[0]) if field.start[0] == field.start[1] else f"{field.start[0]},{field.start[1]}"
    return f"{_by(field.size)} /{jump} @{start}"


def _by(numbers: Sequence[int]) -> str:
    return "x".join(map(str, numbers))
