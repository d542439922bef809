"""Labelled images: fetched when asked, read strictly, divided the same way every time."""

from __future__ import annotations

from pathlib import Path

from model.data.folders import load_folder
from model.data.idx_folder import load_idx
from model.data.npm import fetch
from model.data.splits import Images, Splits
from model.recipe import Folder, Idx, Recipe
from service.core.errors import InvalidInput

__all__ = ["Images", "Splits", "fetch", "load"]


def load(recipe: Recipe, root: Path = Path("data")) -> Splits:
    """All images of the recipe's data, in memory, as pixels that fit its input; relative paths start at `root`.

    Raises `InvalidInput` when the recipe names no data, when files are missing or damaged, or do not fit the recipe.
    """
    match recipe.data:
        case Idx():
            return load_idx(recipe.data, recipe, root / recipe.data.path)
        case Folder():
            return load_folder(recipe.data, recipe, root / recipe.data.path)
        case None:
            raise InvalidInput("recipe.data", "must name the data", None)
