"""Stories about describing a published file: the same numbers as from its recipe, read from nothing but the file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

from model import net, published, recipe
from model.export import export
from service.core.layers import Role
from service.core.spec import Spec

pytestmark = pytest.mark.train

RECIPES = Path(__file__).parents[2] / "model" / "recipes"


@pytest.mark.parametrize("name", ["guide", "digits"])
def test_a_file_tells_what_its_recipe_tells(name: str) -> None:
    """Sizes, formulas, parameters and multiply-accumulates of every layer that has any."""
    made = recipe.load(RECIPES / f"{name}.toml")

    rows = published.layers(*export(net.build(made), made.spec()))

    expected = {row.path: row for row in made.geometry() if row.parameters or row.window}
    found = {row.id: row for row in rows if Role.BLOCK not in row.roles and (row.parameters or row.window)}
    assert found.keys() == expected.keys()
    for path, row in found.items():
        want = expected[path]
        assert (row.parameters, row.macs, row.type.shape) == (want.parameters, want.macs, want.target.shape), path
        assert row.formulas == tuple(want.formulas), path
    assert any(Role.MERGE in row.roles for row in rows) == (name == "digits")


def test_padding_inside_a_module_counts_to_its_window() -> None:
    """A module that pads by function and then convolves is one window with four sides; the total is the sum."""

    class Sided(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(nn.functional.pad(x, (1, 0, 2, 0)))

    layers = nn.Sequential(Sided(3, 8, 3, groups=1, bias=False), nn.Flatten(), nn.Linear(8 * 8 * 7, 2))
    rows = published.layers(*export(layers, Spec("toy", 3, 8, 8, ("a", "b"))))

    assert rows[0].window is not None
    assert rows[0].window.padding == (2, 1, 0, 0)
    assert rows[0].formulas == ("floor((8+2+0-1*(3-1)-1)/1)+1 = 8", "floor((8+1+0-1*(3-1)-1)/1)+1 = 7")
    page = io.StringIO()
    Console(width=200, file=page).print(published.table(rows, "toy:1"))
    assert "3x3 /1 @-2,-1" in page.getvalue()
    assert "1,114" in page.getvalue().splitlines()[-2]
