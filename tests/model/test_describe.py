from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from model import describe, recipe

RECIPES = Path(recipe.__file__).with_name("recipes")


def printed(text: str) -> list[list[str]]:
    """The cells of each row of the table, as a person sees them."""
    screen = StringIO()
    Console(file=screen, width=200).print(describe.table(recipe.parse(text)))
    lines = screen.getvalue().splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


def test_the_guides_layer() -> None:
    """Kernel, stride, padding, output, formula, parameters, MACs and field of the guide's only convolution."""
    conv, _, total = printed((RECIPES / "guide.toml").read_text())

    assert conv == [
        "conv",
        "conv",
        "2x2",
        "1x1",
        "0",
        "1x2x2",
        "floor((3+0+0-1*(2-1)-1)/1)+1 = 2",
        "4",
        "16",
        "2x2 /1 @0",
    ]
    assert total == ["total", "", "", "", "", "4", "", "4", "16", "2x2 /1 @0"]


def test_an_asymmetric_layer_shows_all_its_sides() -> None:
    """Padding that differs by side, dilation and groups are spelled out, with a formula per axis."""
    rows = printed("""
name = "odd"
input = { channels = 3, height = 28, width = 20 }
head = { type = "softmax", labels = ["a", "b"] }
layers = [
    { type = "conv", filters = 6, kernel = [3, 5], stride = [1, 2], dilation = 2, groups = 3, padding = [1, 0, 2, 3] },
    { type = "global_avg_pool" },
    { type = "flatten" },
    { type = "dense", units = 2 },
]
""")

    kind, kernel, stride, padding, output, formula = rows[0][1:7]
    assert (kind, kernel, stride) == ("conv (groups 3)", "3x5 dilation 2x2", "1x2")
    assert (padding, output) == ("1,0,2,3", "6x27x8")
    assert formula == "floor((28+1+2-2*(3-1)-1)/1)+1 = 27"
    assert rows[1][6] == "floor((20+0+3-2*(5-1)-1)/2)+1 = 8"
    assert rows[0][7:] == ["96", "19,440", "5x9 /1x2 @-1,0"]


def test_equal_axes_share_one_formula() -> None:
    """A square layer on a square map shows its arithmetic once."""
    rows = printed((RECIPES / "digits.toml").read_text())

    stem = next(row for row in rows if row[0] == "stem")
    assert stem[6] == "floor((28+1+1-1*(3-1)-1)/1)+1 = 28"
    assert [row[0] for row in rows].count("") == 0
